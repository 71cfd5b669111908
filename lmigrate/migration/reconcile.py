"""Finds migrations that stand still and drives them on, or back.

Runs on the conductor every few seconds.  It never does a step itself: it sends again
what should have been done, and the claim in the journal sorts out what was a duplicate.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import takewhile

import structlog

from lmigrate.config import Settings
from lmigrate.db.clock import utcnow
from lmigrate.db.models import Migration, MigrationStep
from lmigrate.db.session import Session, reading, writing
from lmigrate.db.stores import actions, hosts, journal, migrations
from lmigrate.errors import ComputeServiceUnavailable, Fault, LmigrateError, MigrationAborted
from lmigrate.log import bound
from lmigrate.migration import silence
from lmigrate.migration.attempt import tail_messages
from lmigrate.migration.dispatch import Dispatcher, StepMessage
from lmigrate.migration.rollback import roll_back
from lmigrate.migration.runner import begin_rollback
from lmigrate.migration.steps import is_before_move
from lmigrate.states import Phase, StepState

log = structlog.get_logger(__name__)

MAX_PAUSE_S = 300.0


@dataclass(frozen=True)
class Found:
    """What is due for one migration."""

    sentence: str
    messages: list[StepMessage]


def reconcile(settings: Settings, dispatcher: Dispatcher, *, is_our_turn: Callable[[], bool] = lambda: True) -> list[str]:
    """Look at every migration that has not ended, as long as it is our turn; return a sentence for each thing done."""
    due = takewhile(lambda _: is_our_turn(), _open_migrations())
    return _reconcile_each(due, settings, dispatcher)


def _reconcile_each(migration_ids: Iterable[int], settings: Settings, dispatcher: Dispatcher) -> list[str]:
    done: list[str] = []
    for migration_id in migration_ids:
        with bound(migration=migration_id):
            sentence = _reconcile_or_tell(migration_id, settings, dispatcher)
            if sentence is not None:
                log.info(sentence)
                done.append(sentence)
    return done


def _reconcile_or_tell(migration_id: int, settings: Settings, dispatcher: Dispatcher) -> str | None:
    try:
        return _reconcile_one(migration_id, settings, dispatcher)
    except Exception as error:  # whatever it is, the others must not wait for this one
        log.exception("a migration could not be reconciled")
        return f"migration {migration_id}: {error}"


def take_over(settings: Settings, epoch: str | None, dispatcher: Dispatcher) -> list[str]:
    """Drive on at once what earlier daemons of this host have left: their claims are lost, whatever the leases say."""
    with writing() as session:
        interrupted = journal.lose_claims(session, settings.host.name, epoch)
        waiting = migrations.held_for(session, settings.host.name)
    return _reconcile_each([*interrupted, *waiting], settings, dispatcher)


def _open_migrations() -> list[int]:
    with reading() as session:
        return migrations.driven_ids(session)


def _reconcile_one(migration_id: int, settings: Settings, dispatcher: Dispatcher) -> str | None:
    with writing() as session:
        migration = migrations.lock(session, migration_id)
        attended = silence.attend(session, migration, settings)
        attempt, phase = migration.attempt, migration.phase
        is_stale = _is_stale(migration, migration.dispatched_at, settings)
        found = _next_due(session, migration, settings) if phase is Phase.FORWARD else None
        if found is not None:
            actions.record(session, migration, "reconcile", found.sentence)
        phase = migration.phase
        if is_stale and phase is Phase.ROLLING_BACK:
            migration.resends += 1
            migration.dispatched_at = utcnow()  # here, so that nobody else finds it stale before it is driven on
            actions.record(session, migration, "reconcile", "its rollback stands still; driven on")
    if found is not None and found.messages:
        dispatcher.send_steps(found.messages)
    if phase is Phase.ROLLING_BACK and (is_stale or found is not None):
        return roll_back(migration_id, attempt, dispatcher)
    told = attended if found is None else found.sentence
    return None if told is None else f"migration {migration_id}: {told}"


def _is_stale(migration: Migration, since: datetime | None, settings: Settings) -> bool:
    """Whether nothing has moved since then for so long that it should be sent again; each time the pause doubles."""
    pause_s = min(MAX_PAUSE_S, settings.conductor.resend_after_s * 2.0**migration.resends)
    return since is None or utcnow() - since > timedelta(seconds=pause_s)


def _next_due(session: Session, migration: Migration, settings: Settings) -> Found | None:
    """What the first unfinished step needs, if it stands still."""
    now = utcnow()
    step = next((row for row in journal.steps_of(session, migration) if row.state is not StepState.DONE), None)
    if step is None:
        return None
    if step.state is StepState.READY:
        return _ready(session, migration, step, settings, now)
    if step.state is StepState.RUNNING and _is_orphan(session, step, now):
        return _orphaned(session, migration, step, settings)
    return None


def _orphaned(session: Session, migration: Migration, step: MigrationStep, settings: Settings) -> Found | None:
    """A step whose worker is gone: it is taken over, unless nobody can and the guest is still at home."""
    if is_before_move(step.name) and (hopeless := _why_hopeless(session, migration, step, settings)) is not None:
        return _give_up(migration, step, hopeless)
    if _is_orphan_due(migration, step, settings):
        migration.resends += 1
        session.flush()
        return Found(f"{step.name} on {step.host or 'the conductor'} lost its worker; sent again", tail_messages(session, migration))
    return None


def _ready(session: Session, migration: Migration, step: MigrationStep, settings: Settings, now: datetime) -> Found | None:
    if step.ready_at is not None and step.ready_at > now:
        return None  # a pause between two tries
    hopeless = _why_hopeless(session, migration, step, settings)
    if hopeless is not None:
        return _give_up(migration, step, hopeless)
    if not _is_due(migration, step, settings):
        return None
    migration.resends += 1
    return Found(f"nobody has taken {step.name} on {step.host or 'the conductor'}; sent again", tail_messages(session, migration))


def _give_up(migration: Migration, step: MigrationStep, why: LmigrateError) -> Found:
    # that the source is down is not the destination's fault: no other one would do better
    fault = Fault.SYSTEM if step.host == migration.source_host else why.fault
    begin_rollback(migration, why, fault)
    return Found(f"{step.name} is not waited for any longer: {why}", [])


def _why_hopeless(session: Session, migration: Migration, step: MigrationStep, settings: Settings) -> LmigrateError | None:
    """Why there is no use in waiting until somebody takes the step, while the guest is still at home."""
    if not is_before_move(step.name) and step.name != "migrate":
        return None
    if migration.abort_requested_at is not None:
        return MigrationAborted()
    down = _why_host_down(session, step, utcnow(), settings)
    if down is None and step.name != "migrate":  # that one may wait for its turn behind others
        down = _why_unclaimed(migration, step, settings)
    return None if down is None else ComputeServiceUnavailable(host=step.host or "the conductor", reason=down)


def _why_unclaimed(migration: Migration, step: MigrationStep, settings: Settings) -> str | None:
    """Counted in messages, not in time: nobody is at fault for the hours in which nothing was sent."""
    limit = settings.conductor.max_resends
    is_hopeless = migration.resends >= limit and _is_stale(migration, migration.dispatched_at, settings)
    return f"nobody took {step.name}, though it was sent {limit + 1} times" if is_hopeless else None


def _is_due(migration: Migration, step: MigrationStep, settings: Settings) -> bool:
    sent_at, ready_at = migration.dispatched_at, step.ready_at
    if sent_at is None or ready_at is None:
        return True
    if step.error is not None and sent_at < ready_at:
        return True  # the pause before another try is over, and nobody has been told
    return _is_stale(migration, max(sent_at, ready_at), settings)


def _is_orphan_due(migration: Migration, step: MigrationStep, settings: Settings) -> bool:
    """Once when its claim is lost, then again with the growing pause: its host may be dead."""
    sent_at, lost_at = migration.dispatched_at, step.lease_until
    return sent_at is None or lost_at is None or sent_at < lost_at or _is_stale(migration, sent_at, settings)


def _why_host_down(session: Session, step: MigrationStep, now: datetime, settings: Settings) -> str | None:
    host = None if step.host is None else hosts.by_name(session, step.host)
    return None if host is None else hosts.why_gone(host, now, settings.scheduler.service_down_time_s)


def _is_orphan(session: Session, step: MigrationStep, now: datetime) -> bool:
    """Its lease ran out, or the daemon that claimed it has been started anew since."""
    if step.lease_until is not None and step.lease_until < now:
        return True
    host = None if step.host is None else hosts.by_name(session, step.host)
    if host is None or step.epoch is None or host.epoch == step.epoch:
        return False
    step.lease_until = now - timedelta(seconds=1)
    return True
