"""One `up` or `down` at a time for a lab."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lmigrate.lab.errors import NoSuchLab


@contextmanager
def lab_lock(directory: Path, *, make: bool = True) -> Iterator[None]:
    """Hold the lab's directory, waiting for whoever holds it now; the kernel lets go when a holder dies.

    Raises:
        NoSuchLab: there is no such directory, and ``make`` is off.
    """
    while True:
        if make:
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        try:
            handle = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except FileNotFoundError:
            if make:  # removed by somebody's `down` in this very moment
                continue
            raise NoSuchLab(lab_id=directory.name, root=directory.parent) from None
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            if _is_still(directory, handle):
                yield
                return
        finally:
            os.close(handle)


def _is_still(directory: Path, handle: int) -> bool:
    """Whether the path still leads to what we hold: a `down` before us has removed it otherwise."""
    try:
        return os.path.samestat(directory.stat(), os.fstat(handle))
    except FileNotFoundError:
        return False
