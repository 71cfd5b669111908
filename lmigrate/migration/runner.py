"""Does one step: claim, do, finish.  A refused claim is an ordinary end, told in a sentence.

The claim is committed before the step's first effect, its facts after the last; the
next step becomes claimable in the same transaction.  A failure is written down before
it is raised, so that the errback that Celery may or may not send is only a hint.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import structlog

from lmigrate import ids, log
from lmigrate.config import Settings
from lmigrate.db.availability import UNAVAILABLE, kind_of
from lmigrate.db.models import Instance, Migration, MigrationStep
from lmigrate.db.session import Session, reading, writing
from lmigrate.db.stores import actions, journal, migrations
from lmigrate.db.stores.journal import Claimant
from lmigrate.errors import (
    Fault,
    HypervisorTimeout,
    HypervisorUnavailable,
    InstanceNotFound,
    LmigrateError,
    MigrationAborted,
    OutcomeUnknown,
    StepFailed,
    StorageUnavailable,
)
from lmigrate.faults import failpoint
from lmigrate.migration.steps import is_before_move, step_of
from lmigrate.migration.steps.base import Facts, Side, Step, StepContext, no_hypervisor
from lmigrate.states import HoldReason, Phase, StepState
from lmigrate.virt.protocol import Hypervisor

logger = structlog.get_logger(__name__)

#: tries of a step after the switchover before a human is asked
MAX_FORWARD_TRIES = 20
#: an outcome that stays unknown is not waited for as long
MAX_UNKNOWN_TRIES = 5
MAX_BACKOFF_S = 60.0


def run_step(
    name: str, migration_id: int, attempt: int, settings: Settings, epoch: str | None, *, connect: Callable[[], Hypervisor] = no_hypervisor
) -> str:
    """Do step ``name`` if it is its turn; return a sentence saying what happened.

    A step that only closes the books is done by whoever did the one before it: its own message finds it done, and
    is there for the case that this worker dies between the two.

    Raises:
        LmigrateError: the step failed; the journal and the migration already say so.
    """
    step = step_of(name)
    claimant = Claimant(f"{settings.host.name}/{ids.new_uuid()}", epoch, settings.migration.lease_s)
    with log.bound(migration=migration_id, step=name, attempt=attempt, host=settings.host.name, epoch=epoch):
        claimed = _claim(name, migration_id, attempt, settings, claimant)
        if claimed is None:
            return f"{name} of migration {migration_id}: nothing to do, it is not its turn or somebody else has it"
        row, known = claimed
        try:
            sentence = _do(step, row, _context(row, known, settings, connect), claimant)
        except BaseException as error:  # also SystemExit, which a pool thread would swallow
            _write_failure(step, row, error)
            raise
    if known.next_step is not None and step_of(known.next_step).is_bookkeeping:
        return f"{sentence}; {run_step(known.next_step, migration_id, attempt, settings, epoch)}"
    return sentence


@dataclass(frozen=True)
class _Known:
    """What the records said when the step was claimed."""

    migration: Migration
    instance: Instance
    facts: dict[str, Facts]  # of the steps that are done
    next_step: str | None  # after the claimed one


def _claim(name: str, migration_id: int, attempt: int, settings: Settings, claimant: Claimant) -> tuple[MigrationStep, _Known] | None:
    """The claimed row and what is known, in one transaction: eight steps are on every migration's way."""
    with writing() as session:
        migration = migrations.lock(session, migration_id)
        if migration.phase is not Phase.FORWARD or migration.attempt != attempt:
            return None
        row = journal.find(session, migration_id, attempt, name)
        if row is None or not _is_for_us(row, settings):
            return None
        if not journal.claim(session, migration_id, attempt, name, claimant):
            return None
        migration.status = step_of(name).status_of(migration)
        session.refresh(row)
        return row, _read(session, migration, row)


def _is_for_us(row: MigrationStep, settings: Settings) -> bool:
    side = step_of(row.name).side
    return side is Side.CONDUCTOR or row.host == (settings.storage.serves if side is Side.STORAGE else settings.host.name)


def _do(step: Step, row: MigrationStep, context: StepContext, claimant: Claimant) -> str:
    asked_to_abort = context.migration.abort_requested_at is not None and context.migration.switched_over_at is None
    if asked_to_abort and not step.honours_abort:
        raise MigrationAborted
    with lease_kept(row, claimant):
        failpoint(f"step.{step.name}.before_do")
        facts = step.do(context)
        failpoint(f"step.{step.name}.after_do")
    is_finished = _finish(step, row, facts)
    failpoint(f"step.{step.name}.after_commit")
    if not is_finished:
        return f"{step.name}: done, but the claim was lost meanwhile; its new owner goes on"
    return f"{step.name}: done"


def _finish(step: Step, row: MigrationStep, facts: Facts) -> bool:
    with writing() as session:
        migration = migrations.lock(session, row.migration_id)
        if not journal.finish(session, row, facts):
            return False
        actions.record(
            session,
            migration,
            actions.NOVA_EVENTS[step.name],
            f"{row.name} done",
            result="Success",
            host=row.host,
            started_at=row.started_at,
        )
        migration.resends = 0
        step.on_done(session, migration, facts)
    return True


def make_context(row: MigrationStep, settings: Settings, connect: Callable[[], Hypervisor]) -> StepContext:
    """What the step may look at, read once."""
    with reading() as session:
        return _context(row, _read(session, migrations.get(session, row.migration_id), row), settings, connect)


def _read(session: Session, migration: Migration, row: MigrationStep) -> _Known:
    instance = session.get(Instance, migration.instance_uuid)
    if instance is None:
        raise InstanceNotFound(instance=migration.instance_uuid)
    steps = journal.steps_of(session, migration, row.attempt)
    facts = {step.name: step.facts for step in steps if step.facts is not None}
    return _Known(migration, instance, facts, next((step.name for step in steps if step.position == row.position + 1), None))


def _context(row: MigrationStep, known: _Known, settings: Settings, connect: Callable[[], Hypervisor]) -> StepContext:
    watch, claim = _abort_watch(row.migration_id), _claim_check(row)
    return StepContext(known.migration, known.instance, settings, known.facts, _keeper(row), watch, claim, connect, row.host or "")


def _keeper(row: MigrationStep) -> Callable[[Facts], None]:
    kept: Facts = dict(row.facts or {})

    def keep(facts: Facts) -> None:
        kept.update(facts)
        with writing() as session:
            is_kept = journal.keep_facts(session, row, kept)
        if not is_kept:  # nobody would know how to undo what follows
            raise _taken_over(row)

    return keep


def _taken_over(row: MigrationStep) -> StepFailed:
    return StepFailed(step=row.name, migration=row.migration_id, reason="another worker has taken it over")


def _claim_check(row: MigrationStep) -> Callable[[], None]:
    def check() -> None:
        with reading() as session:
            now = journal.find(session, row.migration_id, row.attempt, row.name)
        if now is None or now.owner != row.owner or now.state not in {StepState.RUNNING, StepState.UNDOING}:
            raise _taken_over(row)

    return check


def _abort_watch(migration_id: int) -> Callable[[], bool]:
    def is_requested() -> bool:
        with reading() as session:
            return migrations.get(session, migration_id).abort_requested_at is not None

    return is_requested


@contextmanager
def lease_kept(row: MigrationStep, claimant: Claimant) -> Iterator[None]:
    """Renew the lease from a thread of its own while the body runs."""
    over = threading.Event()

    def keep() -> None:
        while not over.wait(claimant.lease_s / 3):
            try:
                with writing() as session:
                    journal.renew(session, row.migration_id, row.attempt, row.name, claimant)
            except Exception:  # the database is away: the next round tries again; the lease detects, it does not permit
                logger.exception("the lease could not be renewed")

    thread = threading.Thread(target=log.carried(keep), name="lease", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()


def _write_failure(step: Step, row: MigrationStep, error: BaseException) -> None:
    code, message = describe(error)
    with writing() as session:
        migration = migrations.lock(session, row.migration_id)
        if migration.switched_over_at is not None:
            _keep_going(session, migration, row, error)
        elif isinstance(error, UNAVAILABLE) and migration.phase is Phase.FORWARD and row.tries < MAX_FORWARD_TRIES:
            migration.resends = 0  # it was taken: what is counted there is messages that nobody takes
            _try_again(session, row, error)
        elif journal.fail(session, row, code, message) and migration.phase is Phase.FORWARD:  # else it has gone back, or waits, without us
            begin_rollback(migration, error, _fault_of(step, row, error))
        actions.record(
            session, migration, actions.NOVA_EVENTS[step.name], message, result="Error", host=row.host, started_at=row.started_at
        )


def _keep_going(session: Session, migration: Migration, row: MigrationStep, error: BaseException) -> None:
    """After the switchover a failure is tried again, with a growing pause, and never undone."""
    if _try_again(session, row, error) and row.tries >= _tries_before_hold(error):
        kind = error.hold if isinstance(error, OutcomeUnknown) else None
        reason = f"{row.name} on {row.host} failed {row.tries} times: {describe(error)[1]}"
        migrations.hold(session, migration, kind or HoldReason.FORWARD_FAILS, reason)


def _try_again(session: Session, row: MigrationStep, error: BaseException) -> bool:
    """The step is to be done once more after a pause; a database that was away before the switchover is no reason to undo anything."""
    code, message = describe(error)
    delay_s = min(MAX_BACKOFF_S, 0.5 * 2.0 ** min(row.tries - 1, 10))
    return journal.retry_later(session, row, code, message, delay_s)


def _tries_before_hold(error: BaseException) -> float:
    """A host that does not answer is waited for: nobody else can do it, and it ends by itself when the host is back."""
    if isinstance(error, (HypervisorUnavailable, HypervisorTimeout, StorageUnavailable, *UNAVAILABLE)):
        return float("inf")
    return MAX_UNKNOWN_TRIES if isinstance(error, OutcomeUnknown) else MAX_FORWARD_TRIES


def begin_rollback(migration: Migration, error: BaseException, fault: Fault) -> None:
    """From here no step of this attempt can be claimed any more; the reason is on the migration."""
    migration.phase = Phase.ROLLING_BACK
    migrations.forget_hold(migration)
    migration.error_code, migration.error = describe(error)
    migration.fault = fault.value


def _fault_of(step: Step, row: MigrationStep, error: BaseException) -> Fault:
    """Whatever goes wrong on the destination before the move is that host's fault: another may do better."""
    fault = error.fault if isinstance(error, LmigrateError) else Fault.SYSTEM
    is_its_host = step.side is Side.DESTINATION and is_before_move(row.name)
    return Fault.HOST if fault is Fault.SYSTEM and is_its_host else fault


def describe(error: BaseException) -> tuple[str, str]:
    """(code, one sentence): unexpected errors by their type, without a stack trace."""
    if isinstance(error, LmigrateError):
        return error.code, str(error)
    if isinstance(error, UNAVAILABLE):  # its own text has the statement in it
        return "DatabaseUnavailable", f"the database was not available ({kind_of(error)})"
    if isinstance(error, OSError) and error.strerror:  # a full disk, a lost mount: the system's own words
        return type(error).__name__, f"{error.strerror}: {error.filename}"
    return type(error).__name__, f"unexpected {type(error).__name__}: {error}"
