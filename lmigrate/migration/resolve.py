"""An operator says where the guest of a held migration runs; lmigrate does the rest."""

from __future__ import annotations

from lmigrate.db.clock import utcnow
from lmigrate.db.models import Migration
from lmigrate.db.session import Session, writing
from lmigrate.db.stores import actions, journal, migrations
from lmigrate.errors import BrokerUnavailable, NotHeld, ResolutionRefused
from lmigrate.migration.dispatch import Dispatcher, StepMessage
from lmigrate.migration.rollback import go_forward, roll_back
from lmigrate.migration.steps.base import running_status
from lmigrate.migration.testimony import DESTINATION, SOURCE
from lmigrate.migration.verdict import describe_known
from lmigrate.states import MigrationStatus, Phase, StepState

EVENT = "resolved_by_operator"


def resolve(migration_id: int, running_on: str, by: str, dispatcher: Dispatcher, *, fenced: str | None = None) -> str:
    """Go on with a held migration: forward if the guest runs on the destination, back if on the source.

    Both hosts are still asked, and each step looks before it touches anything: what was said
    decides only what could not be told, and a copy that has run is never removed.  A host that
    is ``fenced`` (off for good, an operator says) is not asked, and nothing is done on it; if that is
    the source itself, the guest went down with it.

    Raises:
        MigrationNotFound, NotHeld: there is nothing to resolve.
        ResolutionRefused: a host is neither of the two, or the guest was seen to leave it.
    """
    with writing() as session:
        migration = migrations.lock(session, migration_id)
        side = _side(migration, running_on)
        _refuse_fencing(migration, running_on, fenced)
        actions.record(session, migration, EVENT, _told(migration, running_on, by, fenced))
        migration.resolution, migration.fenced_host = side, fenced
        messages = _go_on(session, migration)
        attempt, phase = migration.attempt, migration.phase
    try:
        if phase is Phase.ROLLING_BACK:
            return roll_back(migration_id, attempt, dispatcher)
        dispatcher.send_steps(messages)
    except BrokerUnavailable as error:
        return f"migration {migration_id}: resolved; the reconciler will send it on ({error})"
    return f"migration {migration_id}: going forward on {running_on}"


def _side(migration: Migration, running_on: str) -> str:
    if migration.phase is not Phase.HELD:
        raise NotHeld(migration=migration.id, status=migration.status.value)
    if running_on == migration.dest_host:
        return DESTINATION
    if running_on != migration.source_host:
        reason = f"{running_on} is neither its source ({migration.source_host}) nor its destination ({migration.dest_host})."
        raise ResolutionRefused(migration=migration.id, reason=reason)
    if migration.switched_over_at is not None:
        reason = f"the guest was seen running on {migration.dest_host}, so that {running_on} has no whole copy any more."
        raise ResolutionRefused(migration=migration.id, reason=reason)
    if migration.post_copy_at is not None:
        reason = f"post-copy was begun: {running_on} has no whole copy any more, {migration.dest_host} may have run the guest since."
        raise ResolutionRefused(migration=migration.id, reason=reason)
    return SOURCE


def _refuse_fencing(migration: Migration, running_on: str, fenced: str | None) -> None:
    if fenced is None:
        return
    if fenced not in {migration.source_host, migration.dest_host}:
        reason = f"{fenced} is neither its source ({migration.source_host}) nor its destination ({migration.dest_host})."
        raise ResolutionRefused(migration=migration.id, reason=reason)
    if fenced == running_on == migration.dest_host:
        reason = f"the guest cannot run on {fenced} if {fenced} is off."
        raise ResolutionRefused(migration=migration.id, reason=reason)


def _told(migration: Migration, running_on: str, by: str, fenced: str | None) -> str:
    """Who said what, and what was known when it was held: kept for whoever asks later."""
    off = "" if fenced is None else f" and that {fenced} is off"
    kind = "" if migration.hold_reason is None else f"{migration.hold_reason.value}: "
    known = "; ".join(f"{side}: {describe_known(migration.held_known.get(side))}" for side in (SOURCE, DESTINATION))
    return f"{by} says that the guest runs on {running_on}{off} (held because {kind}{migration.error}; known then: {known})"


def _go_on(session: Session, migration: Migration) -> list[StepMessage]:
    """After the switchover the last steps, before it another look at both hosts."""
    if migration.switched_over_at is None:
        reason = migration.error
        migrations.release(migration, Phase.ROLLING_BACK, running_status(migration))
        migration.post_copy_broken_at = None  # its time to be resumed begins anew
        migration.error_code, migration.error = migrations.NEEDS_OPERATOR, reason  # what it ends with, if it ends on the source
        return []
    migrations.release(migration, Phase.FORWARD, MigrationStatus.POST_MIGRATING)
    for step in journal.steps_of(session, migration):
        if step.state is StepState.READY:  # it was tried too often: count anew
            step.tries, step.ready_at = 0, utcnow()
    return go_forward(session, migration)
