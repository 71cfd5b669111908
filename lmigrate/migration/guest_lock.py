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

from lmigrate import clock
from lmigrate.errors import GuestBusy
from lmigrate.ids import is_uuid

log = structlog.get_logger(__name__)


_LOOK_AGAIN_S = 0.05


@contextmanager
def guest_lock(state_dir: Path, instance_uuid: str, *, patience_s: float | None = None) -> Iterator[None]:
    """Hold the guest's lock; wait for it if another worker has it, for ever or for ``patience_s``.

    Raises:
        GuestBusy: the other worker was not ready in time.
    """
    state_dir.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(state_dir / f"{instance_uuid}.lock", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    try:
        if not _try(descriptor):
            _wait(descriptor, instance_uuid, patience_s)
        yield
    finally:
        os.close(descriptor)


def held_guests(state_dir: Path) -> list[str]:
    """Guests whose lock somebody on this host holds at this moment."""
    return [path.stem for path in sorted(state_dir.glob("*.lock")) if is_uuid(path.stem) and _is_held(path)]


def _wait(descriptor: int, instance_uuid: str, patience_s: float | None) -> None:
    log.info("another worker on this host is moving the guest; waiting for it")
    if patience_s is None:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        return
    until_s = clock.monotonic_s() + patience_s
    while not _try(descriptor):
        if clock.monotonic_s() >= until_s:
            raise GuestBusy(instance=instance_uuid)
        clock.sleep_s(_LOOK_AGAIN_S)


def _try(descriptor: int, how: int = fcntl.LOCK_EX) -> bool:
    try:
        fcntl.flock(descriptor, how | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _is_held(path: Path) -> bool:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        return not _try(descriptor, fcntl.LOCK_SH)
    finally:
        os.close(descriptor)
