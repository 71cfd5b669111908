"""Tasks of the conductor."""

from __future__ import annotations

from lmigrate.access import housekeeping
from lmigrate.config import settings
from lmigrate.doctor import record_sweep
from lmigrate.migration import reconcile as reconciler
from lmigrate.migration import rollback as rollbacks
from lmigrate.migration.attempt import send_tail
from lmigrate.migration.runner import run_step
from lmigrate.migration.steps import BY_NAME
from lmigrate.migration.turn import taking_turns
from tasks.base import LmigrateTask, task
from tasks.dispatcher import CeleryDispatcher
from tasks.pace import Pace
from tasks.steps import register_step, register_undo

STEP_TASKS = {"complete": register_step(BY_NAME["complete"])}
UNDO_TASKS = {name: register_undo(BY_NAME[name]) for name in ("select_destination", "complete")}
_PACE = Pace(settings().conductor.reconcile_interval_s / 2)


@task("select_destination")
def select_destination(_self: LmigrateTask, migration_id: int, attempt: int) -> str:
    """Choose the host, then send the rest of the chain to it."""
    sentence = run_step("select_destination", migration_id, attempt, settings(), None)
    return f"{sentence}; {send_tail(migration_id, attempt, CeleryDispatcher())}"


@task("rollback")
def rollback(_self: LmigrateTask, migration_id: int, attempt: int) -> str:
    """The errback of every chain: a hint that an attempt failed."""
    return rollbacks.roll_back(migration_id, attempt, CeleryDispatcher())


@task("decide")
def decide(_self: LmigrateTask, migration_id: int, round_number: int) -> str:
    """Both hosts have been asked."""
    return rollbacks.decide(migration_id, round_number, CeleryDispatcher())


@task("rolled_back")
def rolled_back(_self: LmigrateTask, migration_id: int, attempt: int) -> str:
    """The undos have been done."""
    return rollbacks.rolled_back(migration_id, attempt, CeleryDispatcher())


@task("sweep_records")
def sweep_records(_self: LmigrateTask) -> str:
    """The beat's look for what was left over."""
    return "; ".join(record_sweep.sweep(settings(), CeleryDispatcher())) or "nothing was left over in the records"


@task("reconcile")
def reconcile(_self: LmigrateTask) -> str:
    """The beat's look at everything that stands still."""
    if not _PACE.admits():
        return "has only just looked"
    with taking_turns("reconcile") as turn:
        if turn is None:
            return "another conductor is about it"
        return "; ".join(reconciler.reconcile(settings(), CeleryDispatcher(), is_our_turn=turn.keep)) or "nothing stands still"


@task("tidy")
def tidy(_self: LmigrateTask) -> str:
    """The beat's broom."""
    return housekeeping.tidy(settings())
