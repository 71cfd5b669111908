"""The lock per guest on its source host: a real mutex against a second migrate call.

A kernel lock is released by the death of its process and by nothing else: not by a pause,
not by the network, not by a clock.  The migrate step always runs on the guest's source
host, so a lock on that host is enough.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lmigrate.errors import StepFailed


@contextmanager
def guest_lock(state_dir: Path, instance_uuid: str, migration: int) -> Iterator[None]:
    """Hold the guest's lock, without waiting for it.

    Raises:
        StepFailed: another worker on this host is moving the guest.
    """
    state_dir.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(state_dir / f"{instance_uuid}.lock", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(descriptor)
        raise StepFailed(step="migrate", migration=migration, reason="another worker on this host is moving the guest") from error
    try:
        yield
    finally:
        os.close(descriptor)
