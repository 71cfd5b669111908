"""One conductor at a time, however many run: a lock in the database that outlives no owner for long.

It saves work and keeps the events of a migration in order.  That two at once would do no harm is the business of
each migration's own row lock: a conductor that was stopped for longer than its lease may wake up beside the next.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from lmigrate import clock, ids
from lmigrate.db.session import writing
from lmigrate.db.stores import turns

#: longer than a look at one migration, shorter than anybody waits for a conductor that has died
LEASE_S = 15.0


@dataclass
class Turn:
    """A turn that was taken."""

    name: str
    owner: str = field(default_factory=ids.new_uuid)
    _taken_s: float = float("-inf")

    def keep(self) -> bool:
        """Take it, or make it longer when a third of it is over.  False: it is somebody else's (now)."""
        if clock.monotonic_s() - self._taken_s < LEASE_S / 3:
            return True
        asked_s = clock.monotonic_s()
        with writing() as session:
            is_ours = turns.take(session, self.name, self.owner, LEASE_S)
        self._taken_s = asked_s if is_ours else float("-inf")
        return is_ours


@contextmanager
def taking_turns(name: str) -> Iterator[Turn | None]:
    """The turn, given back at the end; None: another process has it."""
    turn = Turn(name)
    if not turn.keep():
        yield None
        return
    try:
        yield turn
    finally:
        with writing() as session:
            turns.give_back(session, name, turn.owner)
