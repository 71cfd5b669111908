"""Undoes one step: claim, undo, finish.  Asked for by the rollback, as often as it likes."""

from __future__ import annotations

from collections.abc import Callable

import structlog

from lmigrate import ids, log
from lmigrate.config import Settings
from lmigrate.db.models import MigrationStep
from lmigrate.db.session import writing
from lmigrate.db.stores import actions, journal, migrations
from lmigrate.db.stores.journal import Claimant
from lmigrate.errors import OutcomeUnknown
from lmigrate.faults import failpoint
from lmigrate.migration.runner import describe, lease_kept, make_context
from lmigrate.migration.steps import step_of
from lmigrate.migration.steps.base import no_hypervisor
from lmigrate.states import HoldReason, Phase
from lmigrate.virt.protocol import Hypervisor

logger = structlog.get_logger(__name__)


def undo_step(
    name: str, migration_id: int, attempt: int, settings: Settings, epoch: str | None, *, connect: Callable[[], Hypervisor] = no_hypervisor
) -> str:
    """Undo step ``name`` if its attempt is being rolled back; return a sentence saying what happened.

    Raises:
        LmigrateError: it could not be undone now; the journal has it back and the reconciler asks again.
    """
    claimant = Claimant(f"{settings.host.name}/{ids.new_uuid()}", epoch, settings.migration.lease_s)
    with log.bound(migration=migration_id, step=name, attempt=attempt, host=settings.host.name, epoch=epoch):
        row = _claim(name, migration_id, attempt, claimant)
        if row is None:
            return f"undo of {name} of migration {migration_id}: nothing to do"
        try:
            with lease_kept(row, claimant):
                failpoint(f"undo.{name}.before")
                step_of(name).undo(make_context(row, settings, connect), row.facts)
                failpoint(f"undo.{name}.after")
        except BaseException as error:
            _give_back(row, error)
            raise
        _finish(row)
        return f"{name} undone"


def _claim(name: str, migration_id: int, attempt: int, claimant: Claimant) -> MigrationStep | None:
    with writing() as session:
        migration = migrations.lock(session, migration_id)
        if migration.phase is not Phase.ROLLING_BACK or migration.attempt != attempt:
            return None
        if not journal.claim_undo(session, migration_id, attempt, name, claimant):
            return None
        return journal.find(session, migration_id, attempt, name)


def _finish(row: MigrationStep) -> None:
    with writing() as session:
        migration = migrations.lock(session, row.migration_id)
        if journal.finish_undo(session, row):
            actions.record(session, migration, f"undo_{row.name}", f"{row.name} undone", result="Success", host=row.host)


def _give_back(row: MigrationStep, error: BaseException) -> None:
    _code, message = describe(error)
    logger.warning("undo failed; it will be tried again", reason=message)
    with writing() as session:
        migration = migrations.lock(session, row.migration_id)
        journal.release_undo(session, row, message)
        actions.record(session, migration, f"undo_{row.name}", message, result="Error", host=row.host)
        if isinstance(error, OutcomeUnknown) and (migration.resolution is not None or error.hold is HoldReason.FOREIGN_DOMAIN):
            # what the operator said is not what is there, or somebody else's hand is: asking again and again would not change it
            migrations.hold(session, migration, error.hold or HoldReason.COPY_HAS_RUN, message)
