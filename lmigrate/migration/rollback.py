"""What the conductor does with a failed attempt: look, decide, undo, end or try the next host.

Each function here may be called at any time and any number of times: it reads the
journal, does the next thing that is due, and returns a sentence.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from lmigrate.config import settings
from lmigrate.db.clock import utcnow
from lmigrate.db.models import Migration, MigrationStep
from lmigrate.db.session import Session, writing
from lmigrate.db.stores import actions, hosts, journal, migrations, observations
from lmigrate.errors import Fault, PostCopyBroken
from lmigrate.migration.attempt import begin_attempt, tail_messages
from lmigrate.migration.dispatch import Dispatcher, ObserveMessage, StepMessage, UndoMessage, address_of
from lmigrate.migration.steps import step_of
from lmigrate.migration.steps.base import Side, Step
from lmigrate.migration.steps.migrate import has_begun
from lmigrate.migration.testimony import decide_as_told
from lmigrate.migration.verdict import Decision, Seen, Verdict
from lmigrate.migration.verdict import decide as decide_verdict
from lmigrate.states import MAY_HAVE_EFFECTS, HoldReason, MigrationStatus, Phase, StepState

_MIGRATE = "migrate"
ROUNDS_WITHOUT_ANSWER = 2


def roll_back(migration_id: int, attempt: int, dispatcher: Dispatcher) -> str:
    """Begin, or go on with, the rollback of an attempt that has failed."""
    with writing() as session:
        migration = migrations.lock(session, migration_id)
        if migration.phase is not Phase.ROLLING_BACK or migration.attempt != attempt:
            return f"migration {migration_id}: nothing to roll back"
        migration.dispatched_at = utcnow()
        journal.fail_tried(session, migration)
        if migration.fenced_host is not None:
            journal.leave(session, migration, migration.fenced_host, StepState.UNDONE)
        steps = journal.steps_of(session, migration)
        looks = _looks(migration) if _may_have_moved(steps) or migration.resolution is not None else []
        if looks:
            migration.observe_round += 1
        round_number = migration.observe_round
        undos = _undos(migration, steps)
    if looks:
        for look in looks:  # apart, so that a silent host does not keep the other from answering
            dispatcher.send_observe([ObserveMessage(look.side, migration_id, round_number, look.address)], migration_id, round_number)
        return f"migration {migration_id}: asking both hosts"
    return _send_undo(undos, migration_id, attempt, dispatcher)


def decide(migration_id: int, round_number: int, dispatcher: Dispatcher) -> str:
    """Decide by what both hosts said in this round."""
    with writing() as session:
        migration = migrations.lock(session, migration_id)
        if migration.phase is not Phase.ROLLING_BACK or migration.observe_round != round_number:
            return f"migration {migration_id}: round {round_number} is over"
        source, destination = _seen(session, migration, Side.SOURCE), _seen(session, migration, Side.DESTINATION)
        silent = _silent(session, migration, source, destination)
        if silent is not None and not _is_proven_without(source, destination, migration):
            return f"migration {migration_id}: {silent} has not answered (yet); it is asked again"
        migration.observe_round += 1  # this one is decided: its other messages have nothing left to do
        decision = _decision(migration, source, destination)
        actions.record(session, migration, "verdict", f"{decision.verdict.value}: {decision.reason}")
        forward, undos = _apply(session, migration, decision, source, destination)
        attempt = migration.attempt
    if forward:
        dispatcher.send_steps(forward)
    elif decision.verdict is Verdict.NOT_MOVED:
        _send_undo(undos, migration_id, attempt, dispatcher)
    return f"migration {migration_id}: {decision.verdict.value}, {decision.reason}"


def rolled_back(migration_id: int, attempt: int, dispatcher: Dispatcher) -> str:
    """All is undone: try the next host if this one was at fault, else end."""
    messages: list[StepMessage] = []
    with writing() as session:
        migration = migrations.lock(session, migration_id)
        if migration.phase is not Phase.ROLLING_BACK or migration.attempt != attempt:
            return f"migration {migration_id}: nothing to end"
        left = [step.name for step in journal.steps_of(session, migration) if step.state in MAY_HAVE_EFFECTS]
        if left:
            return f"migration {migration_id}: still to undo: {', '.join(left)}"
        if _is_next_host_worth_trying(migration):
            _refuse_host(migration)
            messages = begin_attempt(session, migration)
        else:
            _end(session, migration)
        status = migration.status
    if messages:
        dispatcher.send_steps(messages)
        return f"migration {migration_id}: trying the next host"
    return f"migration {migration_id}: {status.value}"


def go_forward(session: Session, migration: Migration) -> list[StepMessage]:
    """The guest is on the destination: write the switchover; return the messages for what is left to do."""
    steps = journal.steps_of(session, migration)
    if migrations.switch_over(session, migration):
        _mark_moved(steps)
    session.flush()
    if migration.fenced_host is not None:
        journal.leave(session, migration, migration.fenced_host, StepState.DONE)
        journal.make_ready(session, migration.id, migration.attempt, 0)
        session.expire_all()
    return tail_messages(session, migration)


def _may_have_moved(steps: Sequence[MigrationStep]) -> bool:
    """Whether the guest may be anywhere but at home: then nothing is undone before both hosts were asked."""
    return any(step.name == _MIGRATE and has_begun(step.facts) for step in steps)


def _silent(session: Session, migration: Migration, source: Seen | None, destination: Seen | None) -> str | None:
    """The host whose answer is missing, with the reason if it is known to be down."""
    answers = {migration.source_host: source, str(migration.dest_host): destination}
    name = next((name for name, seen in answers.items() if seen is None and name != migration.fenced_host), None)
    if name is None:
        return None
    host = hosts.by_name(session, name)
    down = None if host is None else hosts.why_down(host, utcnow(), settings().scheduler.service_down_time_s)
    migration.error = migration.error if down is None else f"{name} did not answer when it was asked: {down}"
    return name


def _is_proven_without(source: Seen | None, destination: Seen | None, migration: Migration) -> bool:
    """Whether one answer is enough: the guest is seen running where only one of the two can be, on the destination and made by
    this migration; or all that is left is to tell a person about a post-copy.

    Only after several rounds: the other answer may be under way.
    """
    if migration.resends < ROUNDS_WITHOUT_ANSWER:
        return False
    verdict = _verdict(migration, source, destination).verdict
    return verdict is Verdict.MOVED or (verdict is Verdict.RESUME and _is_given_up(migration))


def _decision(migration: Migration, source: Seen | None, destination: Seen | None) -> Decision:
    """The verdict; what an operator has said decides only where it would be HOLD, and never against a copy that runs."""
    return decide_as_told(_verdict(migration, source, destination), migration.resolution, source, destination)


def _verdict(migration: Migration, source: Seen | None, destination: Seen | None) -> Decision:
    has_begun = migration.post_copy_at is not None
    return decide_verdict(source, destination, migration.power_state_before, has_post_copy_begun=has_begun)


def _is_given_up(migration: Migration) -> bool:
    """Whether the source has tried to resume its post-copy for as long as it may."""
    return migration.error_code == PostCopyBroken.__name__


def _looks(migration: Migration) -> list[ObserveMessage]:
    sides = [
        (Side.SOURCE, "post_at_source", migration.source_host),
        (Side.DESTINATION, "post_at_destination", migration.dest_host),
    ]
    asked = [(side, step, host) for side, step, host in sides if host != migration.fenced_host]
    return [ObserveMessage(side, migration.id, 0, address_of(step_of(step), host)) for side, step, host in asked]


def _undos(migration: Migration, steps: Sequence[MigrationStep]) -> list[UndoMessage]:
    # Undo never queues behind a long step: it goes to the host's queue for short ones.
    return [
        UndoMessage(step.name, migration.id, migration.attempt, address_of(_short(step.name), step.host)) for step in journal.to_undo(steps)
    ]


def _short(name: str) -> Step:
    return step_of("post_at_source") if name == _MIGRATE else step_of(name)


def _send_undo(undos: list[UndoMessage], migration_id: int, attempt: int, dispatcher: Dispatcher) -> str:
    dispatcher.send_undo(undos, migration_id, attempt)
    return f"migration {migration_id}: undoing {', '.join(undo.step for undo in undos) or 'nothing'}"


def _seen(session: Session, migration: Migration, side: Side) -> Seen | None:
    facts = observations.of_round(session, migration, side.value)
    return None if facts is None else Seen.from_facts(facts)


def _apply(
    session: Session, migration: Migration, decision: Decision, source: Seen | None, destination: Seen | None
) -> tuple[list[StepMessage], list[UndoMessage]]:
    """Change the records for a verdict; return what is to be sent."""
    steps = journal.steps_of(session, migration)
    if decision.verdict is Verdict.HOLD:
        migrations.hold(session, migration, _hold_reason(migration, decision, destination), decision.reason)
        return [], []
    if decision.verdict is Verdict.NOT_MOVED:
        return [], _undos(migration, steps)
    if decision.verdict is Verdict.MOVED:
        return go_forward(session, migration), []
    if decision.verdict is Verdict.RESUME and not _is_to_resume(session, migration, decision, source):
        return [], []
    migration.phase = Phase.FORWARD
    _let_adopt(steps)
    session.flush()
    return tail_messages(session, migration), []


def _hold_reason(migration: Migration, decision: Decision, destination: Seen | None) -> HoldReason:
    """Which kind of HOLD; a silence that a fenced host explains is none that ends by itself.

    A copy that waits on the destination may have all of the guest's memory: who decides has to look at it first.
    """
    kind = decision.hold or HoldReason.ON_NEITHER_HOST
    silent = {HoldReason.SOURCE_SILENT: migration.source_host, HoldReason.DESTINATION_SILENT: migration.dest_host}.get(kind)
    if silent is None or silent != migration.fenced_host:
        return kind
    return HoldReason.NOT_HANDED_OVER if destination is not None and destination.is_active else HoldReason.ON_NEITHER_HOST


def _is_to_resume(session: Session, migration: Migration, decision: Decision, source: Seen | None) -> bool:
    """Whether the source's worker is to see to the post-copy (again); if there is no use in that, it is held.

    A source without its half may only just have handed it over: it is asked again before anybody is called.
    """
    is_source_gone = migration.fenced_host == migration.source_host or (source is not None and not source.is_active)
    if _is_given_up(migration) or (is_source_gone and migration.resends >= ROUNDS_WITHOUT_ANSWER):
        again = f" When the link is back, `lmigrate migration resolve {migration.id} --running-on {migration.dest_host}` tries again."
        last = (migration.error or "").rstrip(".")
        told = f"{decision.reason}. {last}.{'' if is_source_gone else again}"
        migrations.hold(session, migration, HoldReason.POST_COPY_BROKEN, told)
        return False
    return not is_source_gone


def _mark_moved(steps: Sequence[MigrationStep]) -> None:
    """The move is done, whoever did it; what follows is to be done now."""
    for step in steps:
        if step.name == _MIGRATE:
            step.state, step.finished_at = StepState.DONE, utcnow()
            step.facts = {"source": Seen(exists=False).as_facts(), "call_error": None, **(step.facts or {})}
        elif step.name == "post_at_destination":
            step.state, step.ready_at, step.facts = StepState.READY, utcnow(), None


def _let_adopt(steps: Sequence[MigrationStep]) -> None:
    """The job still runs: the source's worker is to watch it again."""
    for step in steps:
        if step.name == _MIGRATE:
            # as one whose worker was lost: it may be claimed, and still counts as begun
            step.state, step.lease_until = StepState.RUNNING, utcnow() - timedelta(seconds=1)
        elif step.name == "post_at_destination":
            step.state = StepState.PENDING


def _is_next_host_worth_trying(migration: Migration) -> bool:
    is_host_fault = migration.fault == Fault.HOST.value and migration.dest_host is not None
    return is_host_fault and not migration.is_forced and migration.abort_requested_at is None


def _refuse_host(migration: Migration) -> None:
    migration.refusals = {**migration.refusals, str(migration.dest_host): migration.error}


def _end(session: Session, migration: Migration) -> None:
    is_cancelled = migration.error_code == "MigrationAborted"
    migrations.end(session, migration, MigrationStatus.CANCELLED if is_cancelled else MigrationStatus.FAILED)
    actions.record(session, migration, "rolled_back", migration.error or "rolled back", result="Error")
    actions.close(session, migration, failed=True)
