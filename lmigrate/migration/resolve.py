"""An operator says where the guest of a held migration runs; lmigrate does the rest."""

from __future__ import annotations

from lmigrate.clock import utcnow
from lmigrate.db.models import Migration
from lmigrate.db.session import Session, writing
from lmigrate.db.stores import actions, journal, migrations
from lmigrate.errors import BrokerUnavailable, NotHeld, ResolutionRefused
from lmigrate.migration.dispatch import Dispatcher, StepMessage
from lmigrate.migration.rollback import go_forward, roll_back
from lmigrate.states import MigrationStatus, Phase, StepState

EVENT = "resolved_by_operator"


def resolve(migration_id: int, running_on: str, by: str, dispatcher: Dispatcher) -> str:
    """Go on with a held migration: forward if the guest runs on the destination, back if on the source.

    Both hosts are still asked, and each step looks before it touches anything: what was said
    decides only what could not be told, and a copy that has run is never removed.

    Raises:
        MigrationNotFound, NotHeld: there is nothing to resolve.
        ResolutionRefused: the host is neither of the two, or the guest was seen to leave it.
    """
    with writing() as session:
        migration = migrations.lock(session, migration_id)
        side = _side(migration, running_on)
        migration.resolution = side
        actions.record(session, migration, EVENT, f"{by} says that the guest runs on {running_on} (held because: {migration.error})")
        messages = _forward(session, migration) if side == "destination" else _back(migration)
        attempt = migration.attempt
    try:
        if side == "source":
            return roll_back(migration_id, attempt, dispatcher)
        dispatcher.send_steps(messages)
    except BrokerUnavailable as error:
        return f"migration {migration_id}: resolved; the reconciler will send it on ({error})"
    return f"migration {migration_id}: going forward on {running_on}"


def _side(migration: Migration, running_on: str) -> str:
    if migration.phase is not Phase.HELD:
        raise NotHeld(migration=migration.id, status=migration.status.value)
    if running_on == migration.dest_host:
        return "destination"
    if running_on != migration.source_host:
        reason = f"{running_on} is neither its source ({migration.source_host}) nor its destination ({migration.dest_host})."
        raise ResolutionRefused(migration=migration.id, reason=reason)
    if migration.switched_over_at is not None:
        reason = f"the guest was seen running on {migration.dest_host}, so that {running_on} has no whole copy any more."
        raise ResolutionRefused(migration=migration.id, reason=reason)
    return "source"


def _forward(session: Session, migration: Migration) -> list[StepMessage]:
    migration.phase = Phase.FORWARD
    migration.status = MigrationStatus.POST_MIGRATING
    migration.error = migration.error_code = None
    for step in journal.steps_of(session, migration):
        if step.state is StepState.READY:  # it was tried too often: count anew
            step.tries, step.ready_at = 0, utcnow()
    return go_forward(session, migration)


def _back(migration: Migration) -> list[StepMessage]:
    migration.phase = Phase.ROLLING_BACK
    return []
