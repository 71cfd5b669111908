"""One move of one guest: the row, its journal, what was observed, how far it got."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, Index, Integer, String, Text, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from lmigrate.db.base import Base, RowId
from lmigrate.db.clock import utcnow
from lmigrate.states import TERMINAL, HoldReason, MigrationStatus, Phase, PowerState, StepState

_TERMINAL_SQL = ", ".join(f"'{status.value}'" for status in sorted(TERMINAL))


class Migration(Base):
    """Moving one instance from ``source_host`` to ``dest_host``."""

    __tablename__ = "migrations"
    __table_args__ = (
        # A guest moves once at a time, whatever any code above believes.
        Index(
            "uq_migrations_active",
            "instance_uuid",
            unique=True,
            sqlite_where=text(f"status NOT IN ({_TERMINAL_SQL})"),
            postgresql_where=text(f"status NOT IN ({_TERMINAL_SQL})"),
        ),
        Index("ix_migrations_created_at_id", "created_at", "id"),
        Index(None, "status", "created_at", "id"),
        Index(None, "user_id", "created_at", "id"),
        Index(None, "project_id", "created_at", "id"),
    )

    id: Mapped[int] = mapped_column(RowId, primary_key=True)
    uuid: Mapped[str] = mapped_column(String(36), unique=True)
    instance_uuid: Mapped[str] = mapped_column(String(36), ForeignKey("instances.uuid", ondelete="CASCADE"), index=True)
    request_id: Mapped[str] = mapped_column(String(40), index=True)
    user_id: Mapped[str | None] = mapped_column(String(255))
    project_id: Mapped[str | None] = mapped_column(String(255))

    # What was asked for
    requested_destination: Mapped[str | None] = mapped_column(String(63))
    is_forced: Mapped[bool] = mapped_column(default=False)  # the scheduler is not asked
    block_migration: Mapped[bool | None]  # None: auto
    disk_over_commit: Mapped[bool | None]  # None: as False (the space is checked by virtual size)

    # Where it stands
    status: Mapped[MigrationStatus] = mapped_column(default=MigrationStatus.ACCEPTED)
    phase: Mapped[Phase] = mapped_column(default=Phase.FORWARD)
    attempt: Mapped[int] = mapped_column(default=1)  # one more for each further destination
    source_host: Mapped[str] = mapped_column(String(63), index=True)
    dest_host: Mapped[str | None] = mapped_column(String(63), index=True)
    power_state_before: Mapped[PowerState]  # a guest paused by its owner arrives paused
    observe_round: Mapped[int] = mapped_column(Integer, default=0)  # one more each time both sides are asked
    refusals: Mapped[dict[str, Any]] = mapped_column(default=dict)  # host -> why it could not take the guest
    migrate_data: Mapped[dict[str, Any]] = mapped_column(default=dict)  # what the checks found; see migration/migrate_data.py
    error_code: Mapped[str | None] = mapped_column(String(64))
    error: Mapped[str | None] = mapped_column(Text)  # one sentence for a person
    fault: Mapped[str | None] = mapped_column(String(16))  # request | host | system
    hold_reason: Mapped[HoldReason | None]  # why a human is needed …
    held_at: Mapped[datetime | None]  # … since when …
    held_known: Mapped[dict[str, Any]] = mapped_column(default=dict)  # … and what was known then of each side; see stores/knowledge.py
    silent_since: Mapped[datetime | None]  # since when it waits for a host that does not answer
    fenced_host: Mapped[str | None] = mapped_column(String(63))  # that an operator says is off: nothing runs there, nothing is asked of it
    resolution: Mapped[str | None] = mapped_column(String(16))  # source | destination: where an operator says that the guest runs
    abort_requested_at: Mapped[datetime | None]
    force_complete_requested_at: Mapped[datetime | None]
    post_copy_at: Mapped[datetime | None]  # the switch to post-copy was ordered: written before, so that nobody undoes what may have run
    post_copy_broken_at: Mapped[datetime | None]  # since when it has stood still
    prechecked_at: Mapped[datetime | None]  # all checks of this attempt passed
    switched_over_at: Mapped[datetime | None]  # instance.host was set to the destination; from here only forward
    dispatched_at: Mapped[datetime | None]  # last time that messages for it were sent
    resends: Mapped[int] = mapped_column(Integer, default=0)  # since something last moved; the pause between two grows with it
    ended_at: Mapped[datetime | None]
    created_at: Mapped[datetime] = mapped_column(default=utcnow)
    updated_at: Mapped[datetime] = mapped_column(default=utcnow, onupdate=utcnow, index=True)

    # The newest progress, for Nova's wire
    percent: Mapped[int] = mapped_column(default=0, server_default="0")  # the most that was reached
    memory_total_bytes: Mapped[int] = mapped_column(default=0)
    memory_processed_bytes: Mapped[int] = mapped_column(default=0)
    memory_remaining_bytes: Mapped[int] = mapped_column(default=0)
    disk_total_bytes: Mapped[int] = mapped_column(default=0)
    disk_processed_bytes: Mapped[int] = mapped_column(default=0)
    disk_remaining_bytes: Mapped[int] = mapped_column(default=0)
    downtime_ms: Mapped[int | None]  # as QEMU measured it, once completed


class MigrationStep(Base):
    """The journal: one row per step and attempt, committed before its first effect and after its last."""

    __tablename__ = "migration_steps"
    __table_args__ = (UniqueConstraint("migration_id", "attempt", "name"),)

    id: Mapped[int] = mapped_column(RowId, primary_key=True)
    migration_id: Mapped[int] = mapped_column(RowId, ForeignKey("migrations.id", ondelete="CASCADE"), index=True)
    attempt: Mapped[int] = mapped_column(Integer)
    position: Mapped[int] = mapped_column(Integer)
    name: Mapped[str] = mapped_column(String(32))
    host: Mapped[str | None] = mapped_column(String(63))  # None: the conductor
    state: Mapped[StepState] = mapped_column(default=StepState.PENDING, index=True)
    owner: Mapped[str | None] = mapped_column(String(64))  # who claimed it last: process and a random part
    epoch: Mapped[str | None] = mapped_column(String(36))  # of the host daemon that claimed it
    tries: Mapped[int] = mapped_column(Integer, default=0)  # how often it was claimed to be done
    lease_until: Mapped[datetime | None]
    facts: Mapped[dict[str, Any] | None]  # all that undo may need
    error_code: Mapped[str | None] = mapped_column(String(64))
    error: Mapped[str | None] = mapped_column(Text)
    ready_at: Mapped[datetime | None]
    started_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]


class Observation(Base):
    """What one host's libvirt said about the guest when it was asked during recovery."""

    __tablename__ = "observations"

    migration_id: Mapped[int] = mapped_column(RowId, ForeignKey("migrations.id", ondelete="CASCADE"), primary_key=True)
    side: Mapped[str] = mapped_column(String(16), primary_key=True)  # source | destination
    round: Mapped[int] = mapped_column(Integer, primary_key=True)  # Migration.observe_round of the asking
    host: Mapped[str] = mapped_column(String(63))
    seen: Mapped[dict[str, Any]]  # presence, state, reason, job, is_ours
    seen_at: Mapped[datetime] = mapped_column(default=utcnow)


class ProgressSample(Base):
    """The running copy at one moment, at most one row each ``progress_interval_s``."""

    __tablename__ = "progress_samples"

    id: Mapped[int] = mapped_column(RowId, primary_key=True)
    migration_id: Mapped[int] = mapped_column(RowId, ForeignKey("migrations.id", ondelete="CASCADE"), index=True)
    at: Mapped[datetime] = mapped_column(default=utcnow)
    elapsed_ms: Mapped[int]
    iteration: Mapped[int]
    memory_total_bytes: Mapped[int]
    memory_processed_bytes: Mapped[int]
    memory_remaining_bytes: Mapped[int]
    disk_total_bytes: Mapped[int]
    disk_processed_bytes: Mapped[int]
    disk_remaining_bytes: Mapped[int]
    dirty_rate_bps: Mapped[int]  # bytes per second
    bandwidth_bps: Mapped[int]  # bytes per second
    expected_downtime_ms: Mapped[int | None]
    throttle_percent: Mapped[int | None]  # auto-converge
