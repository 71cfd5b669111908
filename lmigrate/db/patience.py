"""A PostgreSQL connection that does not wait for ever.

libpq has no deadline for an answer: a server that is frozen, or a link that delivers nothing and breaks
nothing, keeps its client waiting.  psycopg lets every wait of a connection pass through one method.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import psycopg

from lmigrate import clock

_hurry_s: ContextVar[float | None] = ContextVar("hurry_s", default=None)


@contextmanager
def hurrying(seconds: float) -> Iterator[None]:
    """Within, no answer is waited for longer than this: for a question whose answer "not now" will do."""
    token = _hurry_s.set(seconds)
    try:
        yield
    finally:
        _hurry_s.reset(token)


class PatientConnection(psycopg.Connection[Any]):
    """Gives up an answer after ``patience_s`` seconds, and with it the connection: nobody knows what it would say next."""

    patience_s: float = float("inf")

    def wait(self, gen: Any, interval: float = 0.1, timeout: float | None = None) -> Any:
        """Wait for an answer.

        Raises:
            psycopg.OperationalError: it did not come in time.
        """
        limit_s = min(self.patience_s, _hurry_s.get() or self.patience_s)
        if timeout is not None or limit_s == float("inf"):
            return super().wait(gen, interval, timeout)
        until_s = clock.monotonic_s() + limit_s
        try:
            return super().wait(gen, interval, limit_s)
        except psycopg.OperationalError as error:
            if clock.monotonic_s() < until_s:
                raise
            self.pgconn.finish()
            raise psycopg.OperationalError(f"the database did not answer within {limit_s:g} s") from error
