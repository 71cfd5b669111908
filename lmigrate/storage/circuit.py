"""The circuit to each storage backend: one that is silent is not asked by every step again."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

from lmigrate.breaker import Breaker
from lmigrate.errors import StorageError, StorageUnavailable
from lmigrate.shell import CommandTimedOut

PAUSE_S = 15.0


@contextmanager
def asking(backend: str) -> Iterator[None]:
    """Around one call of a driver.

    Raises:
        StorageUnavailable: the storage does not answer, or has been silent too often of late.
    """
    breaker = breaker_of(backend)
    if (refusal := breaker.why_refused()) is not None:
        raise StorageUnavailable(backend=backend, reason=refusal)
    try:
        yield
    except StorageError as error:
        if not _is_silence(error):
            breaker.answered()
            raise
        breaker.silent(f"{error}.")
        raise StorageUnavailable(backend=backend, reason=str(error.fields.get("reason", error))) from error
    else:
        breaker.answered()


@cache
def breaker_of(backend: str) -> Breaker:
    """One for the life of the process."""
    return Breaker(f"storage {backend}", PAUSE_S)


def _is_silence(error: BaseException | None) -> bool:
    """Whether it says no answer, or comes of one."""
    while error is not None:
        if isinstance(error, (StorageUnavailable, CommandTimedOut)):
            return True
        error = error.__cause__
    return False
