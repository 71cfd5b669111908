"""inotify(7): wake up when something happens in one of a few directories. Costs nothing while nothing does."""

from __future__ import annotations

import ctypes
import errno
import os
import select
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

_IN_MODIFY, _IN_CREATE, _IN_MOVED_TO, _IN_ONLYDIR = 0x2, 0x100, 0x80, 0x01000000
_libc = ctypes.CDLL(None, use_errno=True)


class Inotify:
    """A set of watched directories; use as a context manager."""

    def __init__(self) -> None:
        self._fd = _checked(_libc.inotify_init1(os.O_CLOEXEC | os.O_NONBLOCK), "inotify_init1")
        self._watches: dict[Path, tuple[int, int]] = {}  # inode, watch descriptor

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        os.close(self._fd)

    @property
    def watched(self) -> Mapping[Path, tuple[int, int]]:
        """The directories watched, with inode and watch descriptor."""
        return self._watches

    def watch(self, directory: Path) -> bool:
        """Watch ``directory`` if it is there; True when that is news (it is new, or another one of that name)."""
        try:
            inode = directory.stat().st_ino
            if self._watches.get(directory, (0, 0))[0] == inode:
                return False
            mask = _IN_MODIFY | _IN_CREATE | _IN_MOVED_TO | _IN_ONLYDIR
            self._watches[directory] = (inode, _checked(_libc.inotify_add_watch(self._fd, os.fsencode(directory), mask), str(directory)))
        except (FileNotFoundError, NotADirectoryError):
            self._watches.pop(directory, None)
            return False
        return True

    def wait(self, timeout_s: float) -> bool:
        """Return when something happened, or after ``timeout_s`` seconds; whether it did. What it was is forgotten."""
        ready, _, _ = select.select([self._fd], [], [], timeout_s)
        if ready:
            os.read(self._fd, 65_536)
        return bool(ready)


def _checked(result: int, what: str) -> int:
    if result < 0:
        number = ctypes.get_errno()
        if number == errno.ENOENT:
            raise FileNotFoundError(number, os.strerror(number), what)
        raise OSError(number, os.strerror(number), what)
    return result
