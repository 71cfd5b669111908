"""One attempt at one destination: its journal, and the messages for what is left of it."""

from __future__ import annotations

from lmigrate.db.clock import utcnow
from lmigrate.db.models import Migration, MigrationStep
from lmigrate.db.session import Session, writing
from lmigrate.db.stores import journal, migrations, volumes
from lmigrate.migration.dispatch import Dispatcher, StepMessage, address_of
from lmigrate.migration.steps import STEPS, step_of
from lmigrate.migration.steps.base import Side, Step
from lmigrate.states import MigrationStatus, Phase, StepState


def plan_journal(session: Session, migration: Migration) -> list[StepMessage]:
    """Write the journal of the present attempt; return what is to be sent once it is committed."""
    backends = volumes.backends_of(session, migration.instance_uuid)
    rows = [row for step in STEPS for row in _rows_of(step, migration, backends)]
    journal.plan_attempt(session, migration, [name for name, _ in rows], dict(rows))
    session.flush()
    return tail_messages(session, migration)


def _rows_of(step: Step, migration: Migration, backends: list[str]) -> list[tuple[str, str | None]]:
    """(name, place) of the step's rows: one, or one for each backend; the destination's place is not known yet."""
    if step.side is Side.STORAGE:
        return [(f"{step.name}.{backend}", backend) for backend in backends]
    return [(step.name, migration.source_host if step.side is Side.SOURCE else None)]


def begin_attempt(session: Session, migration: Migration) -> list[StepMessage]:
    """The next attempt, with another destination."""
    migration.attempt += 1
    migration.phase = Phase.FORWARD
    migration.status = MigrationStatus.ACCEPTED
    migration.dest_host = None
    migration.prechecked_at = migration.post_copy_at = None
    migration.resends = 0
    migration.error = migration.error_code = migration.fault = None
    migration.silent_since = migration.resolution = migration.fenced_host = None
    return plan_journal(session, migration)


def tail_messages(session: Session, migration: Migration) -> list[StepMessage]:
    """The steps that are not done and whose host is known, in order."""
    migration.dispatched_at = utcnow()
    rows = [row for row in journal.steps_of(session, migration) if row.state is not StepState.DONE]
    known: list[MigrationStep] = []
    for row in rows:
        if row.host is None and step_of(row.name).side is not Side.CONDUCTOR:
            break  # the destination has not been chosen
        known.append(row)
    return [StepMessage(row.name, migration.id, migration.attempt, address_of(step_of(row.name), row.host)) for row in known]


def send_tail(migration_id: int, attempt: int, dispatcher: Dispatcher) -> str:
    """Send what is left of an attempt, if it is still the present one and going forward."""
    with writing() as session:
        migration = migrations.lock(session, migration_id)
        if migration.attempt != attempt or migration.phase is not Phase.FORWARD or not _is_next_ready(session, migration):
            return "nothing to send"
        messages = tail_messages(session, migration)
    dispatcher.send_steps(messages)
    return f"sent {messages[0].step} and what follows"


def _is_next_ready(session: Session, migration: Migration) -> bool:
    """Whether the first unfinished step waits for a worker: one that has a worker would be sent to no end."""
    step = next((row for row in journal.steps_of(session, migration) if row.state is not StepState.DONE), None)
    return step is not None and step.state is StepState.READY
