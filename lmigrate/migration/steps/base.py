"""What a step is: do and undo side by side, and what each may count on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, ClassVar

from lmigrate.config import Settings
from lmigrate.db.models import Instance, Migration
from lmigrate.db.session import Session
from lmigrate.migration.migrate_data import MigrateData
from lmigrate.states import MigrationStatus
from lmigrate.virt.protocol import Hypervisor

Facts = dict[str, Any]


def no_hypervisor() -> Hypervisor:
    """What the conductor's steps get.

    Raises:
        LookupError: always.
    """
    raise LookupError("the conductor opens no connection to libvirt")


class Side(StrEnum):
    """Which queue a step runs on."""

    CONDUCTOR = "conductor"
    SOURCE = "source"
    DESTINATION = "destination"
    STORAGE = "storage"  # one row of the journal, and one queue, for each backend that the guest has volumes on


def running_status(migration: Migration) -> MigrationStatus:
    """What a migration shows between the start of the move and its proof."""
    return MigrationStatus.RUNNING if migration.post_copy_at is None else MigrationStatus.RUNNING_POST_COPY


@dataclass(frozen=True)
class StepContext:
    """What a step may look at.  The rows are copies: changing them changes nothing."""

    migration: Migration
    instance: Instance
    settings: Settings
    facts: dict[str, Facts]  # of the earlier steps of this attempt, by name
    keep: Callable[[Facts], None]  # journal what has been made so far, before going on; raises StepFailed as check_claim does
    is_abort_requested: Callable[[], bool]
    check_claim: Callable[
        [], None
    ]  # raises StepFailed if another worker has taken the step over: ask right before what cannot be taken back
    connect: Callable[[], Hypervisor] = no_hypervisor
    place: str = ""  # the host or backend that the step is for

    @property
    def hypervisor(self) -> Hypervisor:
        """The libvirtd of the host on which this step runs."""
        return self.connect()

    @property
    def uuid(self) -> str:
        """The migration's UUID: the mark on everything that it makes."""
        return self.migration.uuid

    @property
    def data(self) -> MigrateData:
        """What the checks found out."""
        return MigrateData.model_validate(self.migration.migrate_data)


class Step:
    """One step.  ``do`` is *ensure*: twice equals once.  ``undo`` is total: absent is success."""

    name: ClassVar[str]  # stored in the journal; never rename
    side: ClassVar[Side]
    status: ClassVar[MigrationStatus]  # what the migration shows while this step runs
    is_long: ClassVar[bool] = False  # it has the host's migrate queue for itself
    is_bookkeeping: ClassVar[bool] = False  # it changes records only: any worker may do it
    honours_abort: ClassVar[bool] = False  # it looks for a request to abort by itself

    def status_of(self, migration: Migration) -> MigrationStatus:
        """What ``migration`` shows while this step runs."""
        del migration
        return self.status

    def do(self, context: StepContext) -> Facts:
        """Bring the effects about; return all that undo and the later steps need."""
        raise NotImplementedError

    def undo(self, context: StepContext, facts: Facts | None) -> None:
        """Take away what ``do`` made, or part of it; None: it never said what that was."""

    def on_done(self, session: Session, migration: Migration, facts: Facts) -> None:
        """Change the records in the same transaction that writes the facts."""
