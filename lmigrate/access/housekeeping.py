"""What is forgotten by and by: sessions that have ended, and the audit of long ago."""

from __future__ import annotations

from lmigrate.config import Settings
from lmigrate.db.clock import ago, utcnow
from lmigrate.db.session import writing
from lmigrate.db.stores import audit, tokens

_DAY_S = 86_400


def tidy(options: Settings) -> str:
    """One round; says what was forgotten."""
    with writing() as session:
        sessions = tokens.forget_sessions(session, utcnow())
    events = 0
    before = ago(options.audit.keep_days * _DAY_S)
    while True:
        with writing() as session:
            count = audit.forget(session, before)
        events += count
        if count == 0:
            return f"{sessions} sessions and {events} audit events forgotten"
