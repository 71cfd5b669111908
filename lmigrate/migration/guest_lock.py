"""The lock per guest on its source host: a real mutex against a second migrate call.

A kernel lock is released by the death of its process and by nothing else: not by a pause,
not by the network, not by a clock.  The migrate step always runs on the guest's source
host, so a lock on that host is enough.  Whoever finds it taken waits: then the guest has
left or the job is over, and libvirt says which.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import structlog

log = structlog.get_logger(__name__)


@contextmanager
def guest_lock(state_dir: Path, instance_uuid: str) -> Iterator[None]:
    """Hold the guest's lock; wait for it if another worker has it."""
    state_dir.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(state_dir / f"{instance_uuid}.lock", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    try:
        _lock(descriptor)
        yield
    finally:
        os.close(descriptor)


def _lock(descriptor: int) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        log.info("another worker on this host is moving the guest; waiting for it")
        fcntl.flock(descriptor, fcntl.LOCK_EX)
