"""A migration that cannot go on because a host is gone: held after a while, and taken up again by itself when the host is back.

Only where something may have been done on that host: a step before the move that meets a host
which is down ends its attempt at once.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from lmigrate.config import Settings
from lmigrate.db.clock import utcnow
from lmigrate.db.models import Migration, MigrationStep
from lmigrate.db.session import Session
from lmigrate.db.stores import actions, hosts, journal, migrations
from lmigrate.migration.steps.base import running_status
from lmigrate.states import HELD_FOR_SILENCE, MAY_HAVE_EFFECTS, HoldReason, MigrationStatus, Phase, StepState


@dataclass(frozen=True)
class Silence:
    """A host whose answer is needed, and why none comes."""

    kind: HoldReason
    reason: str


def attend(session: Session, migration: Migration, settings: Settings) -> str | None:
    """Note since when it waits for a host; hold it when that is long; let it go on when the host is back.  What was done, if anything."""
    if migration.phase is Phase.ENDED:  # meanwhile
        return None
    silence = _find(session, migration, settings)
    if silence is None:
        migration.silent_since = None
        # asked of the locked row: it may have been held for a person since it was listed
        return _take_up(session, migration) if migration.hold_reason in HELD_FOR_SILENCE else None
    if migration.phase is Phase.HELD:
        return None
    migration.silent_since = migration.silent_since or utcnow()
    if not is_long(migration.silent_since, utcnow(), settings.conductor.hold_after_s):
        return None
    migrations.hold(session, migration, silence.kind, silence.reason)
    actions.record(session, migration, "held", silence.reason, result="Error")
    return f"held: {silence.reason}"


def is_long(since: datetime, now: datetime, limit_s: float) -> bool:
    """Whether a silence has lasted for longer than a restart takes."""
    return now - since > timedelta(seconds=limit_s)


def _find(session: Session, migration: Migration, settings: Settings) -> Silence | None:
    steps = journal.steps_of(session, migration)
    for name in _needed(migration, steps):
        host = hosts.by_name(session, name)
        why = None if host is None else hosts.why_down(host, utcnow(), settings.scheduler.service_down_time_s)
        if why is not None:
            is_source = name == migration.source_host
            side, kind = ("source", HoldReason.SOURCE_SILENT) if is_source else ("destination", HoldReason.DESTINATION_SILENT)
            return Silence(kind, f"the {side} {name} does not answer, and is needed: {why}")
    return None


def _needed(migration: Migration, steps: list[MigrationStep]) -> list[str]:
    """Hosts without whose answer it cannot go on."""
    has_begun = any(step.name == "migrate" and step.tries > 0 for step in steps)
    if migration.switched_over_at is not None:
        first = next((step for step in steps if step.state is not StepState.DONE), None)
        needed = [] if first is None else [first.host]
    elif has_begun:
        needed = [migration.source_host, migration.dest_host]
    elif migration.phase in {Phase.ROLLING_BACK, Phase.HELD}:
        needed = [step.host for step in steps if step.state in MAY_HAVE_EFFECTS]
    else:
        needed = []
    return [name for name in needed if name not in {None, migration.fenced_host}]


def _take_up(session: Session, migration: Migration) -> str:
    """The host is back: forward after the switchover, else look at both and decide."""
    reason = migration.error
    if migration.switched_over_at is not None:
        migrations.release(migration, Phase.FORWARD, MigrationStatus.POST_MIGRATING)
    else:
        migrations.release(migration, Phase.ROLLING_BACK, running_status(migration))
        migration.error_code, migration.error = migrations.NEEDS_OPERATOR, reason
    migration.dispatched_at = None
    sentence = "taken up again: every host that it waited for answers"
    actions.record(session, migration, "reconcile", sentence)
    return sentence
