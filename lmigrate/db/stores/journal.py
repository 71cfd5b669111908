"""The step journal: claims by compare-and-set, intent before effect, facts after.

A step may be claimed when it is READY, or when it is RUNNING and its lease ran out:
then its worker is gone, and ``do`` is written so that doing it again is harmless.
A lease never *permits* anything by itself: finishing is guarded by the owner, and the
one effect that must not happen twice holds a lock on its host and asks libvirt first.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Update, and_, func, or_, select, update
from sqlalchemy.orm import Session

from lmigrate.db.clock import utcnow
from lmigrate.db.models import Migration, MigrationStep
from lmigrate.db.rows import changed
from lmigrate.states import MAY_HAVE_EFFECTS, Phase, StepState


@dataclass(frozen=True)
class Claimant:
    """Who wants to work on a step."""

    owner: str  # unique for each claim
    epoch: str | None  # of the host daemon; None on the conductor
    lease_s: float

    def lease_until(self) -> datetime:
        """When this claim counts as abandoned unless it is renewed."""
        return utcnow() + timedelta(seconds=self.lease_s)


def plan_attempt(session: Session, migration: Migration, names: Sequence[str], hosts: dict[str, str | None]) -> None:
    """Write the journal of a new attempt: the first step READY, the others PENDING."""
    for position, name in enumerate(names):
        state = StepState.READY if position == 0 else StepState.PENDING
        session.add(
            MigrationStep(
                migration_id=migration.id,
                attempt=migration.attempt,
                position=position,
                name=name,
                host=hosts.get(name),
                state=state,
                ready_at=utcnow() if position == 0 else None,
            ),
        )


def route(session: Session, migration: Migration, names: Sequence[str], host: str) -> None:
    """The steps ``names`` of the present attempt are to be done on ``host``."""
    rows = update(MigrationStep).where(MigrationStep.migration_id == migration.id, MigrationStep.attempt == migration.attempt)
    session.execute(rows.where(MigrationStep.name.in_(names)).values(host=host))


def steps_of(session: Session, migration: Migration, attempt: int | None = None) -> list[MigrationStep]:
    """The journal of one attempt (the present one unless said), in order."""
    wanted = migration.attempt if attempt is None else attempt
    query = select(MigrationStep).where(MigrationStep.migration_id == migration.id, MigrationStep.attempt == wanted)
    return list(session.scalars(query.order_by(MigrationStep.position)))


def find(session: Session, migration_id: int, attempt: int, name: str) -> MigrationStep | None:
    """One row of the journal, as it is in the database now."""
    query = select(MigrationStep).where(_is_step(migration_id, attempt, name)).execution_options(populate_existing=True)
    return session.scalar(query)


def claim(session: Session, migration_id: int, attempt: int, name: str, claimant: Claimant) -> bool:
    """READY, or RUNNING with a lost lease → RUNNING.  False: somebody else has it, or it is not its turn.

    Only a try that failed has a pause before the next.  Two machines' ideas of the database's clock differ by some
    milliseconds, and the next step's message is quicker than that: its moment is not asked for.
    """
    now = utcnow()
    due = or_(MigrationStep.error.is_(None), MigrationStep.ready_at.is_(None), MigrationStep.ready_at <= now)
    ready = and_(MigrationStep.state == StepState.READY, due)
    statement = (
        update(MigrationStep)
        .where(_is_step(migration_id, attempt, name), or_(ready, _lost(StepState.RUNNING, now)))
        .values(state=StepState.RUNNING, owner=claimant.owner, epoch=claimant.epoch, tries=MigrationStep.tries + 1)
        .values(lease_until=claimant.lease_until(), started_at=now, finished_at=None, error=None, error_code=None)
    )
    return _one(session, statement)


def lose_claims(session: Session, host: str, epoch: str | None) -> list[int]:
    """Claims of ``host`` by other daemons than that of ``epoch`` count as lost; the open migrations that they stood in."""
    is_left = and_(MigrationStep.host == host, MigrationStep.state.in_([StepState.RUNNING, StepState.UNDOING]))
    is_left = and_(is_left, MigrationStep.epoch.is_not(None), MigrationStep.epoch != epoch)
    is_open = and_(Migration.id == MigrationStep.migration_id, Migration.phase.in_([Phase.FORWARD, Phase.ROLLING_BACK]))
    found = select(MigrationStep.id, Migration.id).join(Migration, is_open).where(is_left).order_by(Migration.id)
    rows = session.execute(found).all()
    steps, open_ids = [step_id for step_id, _ in rows], list(dict.fromkeys(migration_id for _, migration_id in rows))
    changed(session, update(MigrationStep).where(MigrationStep.id.in_(steps), is_left).values(lease_until=utcnow() - timedelta(seconds=1)))
    changed(session, update(Migration).where(Migration.id.in_(open_ids)).values(dispatched_at=None))
    return open_ids


def renew(session: Session, migration_id: int, attempt: int, name: str, claimant: Claimant) -> bool:
    """Prolong the lease.  False: the claim was lost to another owner."""
    statement = (
        update(MigrationStep)
        .where(_is_step(migration_id, attempt, name), MigrationStep.owner == claimant.owner)
        .where(MigrationStep.state.in_([StepState.RUNNING, StepState.UNDOING]))
        .values(lease_until=claimant.lease_until())
    )
    return _one(session, statement)


def finish(session: Session, step: MigrationStep, facts: dict[str, Any]) -> bool:
    """RUNNING → DONE with its facts, and the next step becomes READY.  False: the claim was lost."""
    if not _guarded(session, step, StepState.RUNNING, state=StepState.DONE, facts=facts):
        return False
    make_ready(session, step.migration_id, step.attempt, step.position + 1)
    return True


def make_ready(session: Session, migration_id: int, attempt: int, position: int) -> None:
    """PENDING → READY for the first step from ``position`` on that is not done, if there is one."""
    of_attempt = and_(MigrationStep.migration_id == migration_id, MigrationStep.attempt == attempt)
    left = select(func.min(MigrationStep.position)).where(of_attempt, MigrationStep.position >= position)
    first = session.scalar(left.where(MigrationStep.state != StepState.DONE))
    session.execute(
        update(MigrationStep)
        .where(of_attempt, MigrationStep.position == first, MigrationStep.state == StepState.PENDING)
        .values(state=StepState.READY, ready_at=utcnow()),
    )


def leave(session: Session, migration: Migration, host: str, state: StepState) -> None:
    """Nothing more is asked of ``host``: its steps of the present attempt count as ``state`` (DONE going forward, UNDONE going back)."""
    left = [StepState.DONE] if state is StepState.DONE else [StepState.PENDING, StepState.READY, StepState.UNDONE]
    rows = update(MigrationStep).where(MigrationStep.migration_id == migration.id, MigrationStep.attempt == migration.attempt)
    rows = rows.where(MigrationStep.host == host, MigrationStep.state.not_in(left))
    changed(session, rows.values(state=state, owner=None, error=f"{host} is off: nothing was done there", finished_at=utcnow()))


def fail(session: Session, step: MigrationStep, code: str, message: str) -> bool:
    """RUNNING → FAILED.  False: the claim was lost, so the failure is nobody's business any more."""
    return _guarded(session, step, StepState.RUNNING, state=StepState.FAILED, error_code=code, error=message)


def retry_later(session: Session, step: MigrationStep, code: str, message: str, delay_s: float) -> bool:
    """RUNNING → READY again after ``delay_s``: for steps that only go forward."""
    ready_at = utcnow() + timedelta(seconds=delay_s)
    return _guarded(session, step, StepState.RUNNING, state=StepState.READY, ready_at=ready_at, error_code=code, error=message)


def fail_tried(session: Session, migration: Migration) -> None:
    """READY after a try → FAILED, in the present attempt: nobody tries it again, and what the try has made is to be undone."""
    rows = update(MigrationStep).where(MigrationStep.migration_id == migration.id, MigrationStep.attempt == migration.attempt)
    changed(session, rows.where(MigrationStep.state == StepState.READY, MigrationStep.tries > 0).values(state=StepState.FAILED))


def keep_facts(session: Session, step: MigrationStep, facts: dict[str, Any]) -> bool:
    """Record what a running step has made so far, for an undo after its death."""
    return _guarded(session, step, StepState.RUNNING, finished=False, facts=facts)


def claim_undo(session: Session, migration_id: int, attempt: int, name: str, claimant: Claimant) -> bool:
    """DONE, FAILED or RUNNING-and-lost → UNDOING.

    False: nothing to undo, somebody is at it, or a later step of the attempt is not undone yet.
    """
    now = utcnow()
    if _has_later_effects(session, migration_id, attempt, name):
        return False
    ended = MigrationStep.state.in_([StepState.DONE, StepState.FAILED])
    lost = or_(_lost(StepState.RUNNING, now), _lost(StepState.UNDOING, now))
    statement = (
        update(MigrationStep)
        .where(_is_step(migration_id, attempt, name), or_(ended, lost))
        .values(state=StepState.UNDOING, owner=claimant.owner, epoch=claimant.epoch, lease_until=claimant.lease_until())
    )
    return _one(session, statement)


def _has_later_effects(session: Session, migration_id: int, attempt: int, name: str) -> bool:
    here = find(session, migration_id, attempt, name)
    later = select(MigrationStep.id).where(MigrationStep.migration_id == migration_id, MigrationStep.attempt == attempt)
    later = later.where(MigrationStep.position > (here.position if here else 0), MigrationStep.state.in_(list(MAY_HAVE_EFFECTS)))
    return session.scalar(later.limit(1)) is not None


def finish_undo(session: Session, step: MigrationStep) -> bool:
    """UNDOING → UNDONE."""
    return _guarded(session, step, StepState.UNDOING, state=StepState.UNDONE)


def release_undo(session: Session, step: MigrationStep, message: str) -> bool:
    """Give a failed undo back, to be tried again: UNDOING with a lease that is over, by everybody's clock."""
    return _guarded(session, step, StepState.UNDOING, finished=False, lease_until=utcnow() - timedelta(seconds=1), error=message)


def to_undo(steps: Sequence[MigrationStep]) -> list[MigrationStep]:
    """The steps that may have left effects, in the order in which to undo them."""
    return sorted((step for step in steps if step.state in MAY_HAVE_EFFECTS), key=lambda step: -step.position)


def _is_step(migration_id: int, attempt: int, name: str) -> ColumnElement[bool]:
    return and_(MigrationStep.migration_id == migration_id, MigrationStep.attempt == attempt, MigrationStep.name == name)


def _lost(state: StepState, now: datetime) -> ColumnElement[bool]:
    return and_(MigrationStep.state == state, MigrationStep.lease_until < now)


def _guarded(session: Session, step: MigrationStep, expected: StepState, *, finished: bool = True, **values: Any) -> bool:
    if finished:
        values["finished_at"] = utcnow()
    statement = (
        update(MigrationStep)
        .where(MigrationStep.id == step.id, MigrationStep.owner == step.owner, MigrationStep.state == expected)
        .values(**values)
    )
    return _one(session, statement)


def _one(session: Session, statement: Update) -> bool:
    return changed(session, statement) == 1
