"""One thing that is wrong."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from lmigrate.doctor.advice import Advice


class Kind(StrEnum):
    """What is wrong."""

    HELD_MIGRATION = "held-migration"
    WAITING_MIGRATION = "waiting-migration"  # for a host that does not answer; not for a human yet
    GUEST = "guest"
    HOST = "host"
    VOLUME = "volume"
    LEAK = "leak"


@dataclass(frozen=True)
class KnownSide:
    """What one host is known to have of the guest."""

    host: str
    said: str  # running (booted)
    at: datetime


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong, for whom it is, and what to do."""

    kind: Kind
    reason: str  # of the kind: a HoldReason, an Anomaly by name, a LeakKind …
    needs_operator: bool
    summary: str
    page: str  # of the documentation
    since: datetime | None
    advice: Advice = field(default_factory=Advice)
    known: tuple[KnownSide, ...] = ()
    done: str | None = None  # what lmigrate did about it
    host: str | None = None
    migration_id: int | None = None
    instance_uuid: str | None = None
    instance_name: str | None = None


def page_of(name: str) -> str:
    """The runbook of that name."""
    return f"docs/runbooks/{name}.md"
