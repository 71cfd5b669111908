"""Migrations in ``/v1``."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from api.contract import Shape
from api.v1.schemas.paging import NAME, Moment, Page, PageQuery
from lmigrate.states import HoldReason, MigrationStatus, PendingRequest


class Progress(Shape):
    """How far the copy is."""

    percent: int = Field(
        description="Of memory and disk, what has not to be sent again, at its most: it does not go back when the guest writes."
    )
    memory_total_bytes: int
    memory_processed_bytes: int
    memory_remaining_bytes: int
    disk_total_bytes: int
    disk_processed_bytes: int
    disk_remaining_bytes: int
    iteration: int | None
    bandwidth_bps: int | None = Field(description="Bytes per second.")
    dirty_rate_bps: int | None = Field(description="Bytes per second.")
    expected_downtime_ms: int | None = Field(description="Pause at switchover as QEMU expects it.")
    throttle_percent: int | None = Field(description="How much auto-converge slows the guest.")
    elapsed_ms: int | None
    at: Moment | None = Field(description="When this was measured.")


class Step(Shape):
    """One row of the journal."""

    attempt: int
    position: int
    name: str
    host: str | None = Field(description="null: the conductor.")
    state: str
    tries: int
    error_code: str | None
    error: str | None
    started_at: Moment | None
    finished_at: Moment | None


class Event(Shape):
    """One sentence about what was done or decided."""

    event: str
    host: str | None
    result: str | None
    details: str | None
    started_at: Moment
    finished_at: Moment | None


class Sample(Shape):
    """The copy at one moment."""

    at: Moment
    elapsed_ms: int
    iteration: int
    memory_total_bytes: int
    memory_processed_bytes: int
    memory_remaining_bytes: int
    disk_total_bytes: int
    disk_processed_bytes: int
    disk_remaining_bytes: int
    dirty_rate_bps: int
    bandwidth_bps: int
    expected_downtime_ms: int | None
    throttle_percent: int | None


class Migration(Shape):
    """One move of one guest."""

    id: int
    uuid: str
    instance_uuid: str
    instance_name: str | None
    request_id: str
    status: MigrationStatus
    phase: str = Field(description="forward, rolling-back, held (a human is needed) or ended.")
    attempt: int = Field(description="One more for each further destination.")
    source_host: str
    dest_host: str | None
    requested_destination: str | None
    is_forced: bool
    block_migration: bool | None = Field(description="null: decided by what the hosts share.")
    refusals: dict[str, str] = Field(description="Host → why it could not take the guest.")
    error_code: str | None
    error: str | None = Field(description="What went wrong, in one sentence.")
    fault: str | None = Field(description="Whose fault it was: request, host or system.")
    hold_reason: HoldReason | None = Field(description="Why it is held; the page of that name in docs/runbooks says what to do.")
    held_at: Moment | None
    fenced_host: str | None = Field(description="Host that an operator says is off.")
    progress: Progress
    downtime_ms: int | None = Field(description="The pause as QEMU measured it, once completed.")
    pending_request: PendingRequest | None = Field(
        description="What was asked for and has not come about; null: nothing, or the migration has switched over or ended."
    )
    abort_requested_at: Moment | None
    force_complete_requested_at: Moment | None
    post_copy_at: Moment | None = Field(description="When the switch to post-copy was ordered: from then on there is no way back.")
    post_copy_broken_at: Moment | None = Field(description="Since when the post-copy has stood still; it is resumed when the link is back.")
    prechecked_at: Moment | None
    switched_over_at: Moment | None = Field(description="When the guest was seen running on the destination.")
    created_at: Moment
    updated_at: Moment
    ended_at: Moment | None


class MigrationDetail(Migration):
    """A migration with its journal, events and progress samples, oldest first."""

    steps: list[Step]
    events: list[Event]
    samples: list[Sample]


class Migrations(Page):
    """A page of migrations, newest first."""

    migrations: list[Migration]


class MigrationsQuery(PageQuery):
    """Which migrations."""

    server: Annotated[str, Field(pattern=NAME, max_length=36, description="UUID of the guest.")] | None = None
    host: Annotated[str, Field(pattern=NAME, max_length=63, description="Source or destination.")] | None = None
    status: MigrationStatus | None = None
    request_id: Annotated[str, Field(pattern=NAME, max_length=40)] | None = None


class Resolution(Shape):
    """What an operator found out about the guest of a held migration."""

    running_on: str = Field(pattern=NAME, max_length=63, description="The host on which the guest runs: the source or the destination.")
    fenced: Annotated[str, Field(pattern=NAME, min_length=1, max_length=63)] | None = Field(
        None, description="The other host, if it is off for good: it is not asked, and nothing is done on it."
    )


class MigrationQuery(Shape):
    """How much of a migration."""

    samples: bool = Field(True, description="false: without the progress samples.")
