"""Hear a guest: stamp each line of its serial files with the moment at which it arrives.

The files of all hosts are followed as one stream.  A migration may cut a line in two, its head in the
source's file and its tail in the destination's; the destination writes only after the source has
ended, so what arrives next is what belongs next.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from lmigrate import clock
from lmigrate.lab.errors import LabError
from lmigrate.lab.guests.inotify import Inotify
from lmigrate.lab.guests.line import parse_line
from lmigrate.lab.guests.report import Heard, Report, make_report

_LOOK_AGAIN_S = 0.1  # to end soon when asked to, and should an event be missed


class _Follower:
    """Reads what is appended to one path, also when the file there is replaced by another."""

    def __init__(self, path: Path, *, from_start: bool) -> None:
        self.path = path
        self._file: IO[bytes] | None = None
        self._inode = 0
        self.begins_within_line = False
        if not from_start:
            passed = self.read()
            self.begins_within_line = bool(passed) and not passed.endswith(b"\n")

    def read(self) -> bytes:
        """Everything new; the rest of a file that was replaced comes first."""
        rest = self._file.read() if self._file else b""
        return rest + (self._file.read() if self._open() and self._file else b"")

    def close(self) -> None:
        """Let go of the file."""
        if self._file:
            self._file.close()
        self._file = None

    def _open(self) -> bool:
        """Open the file now at the path, if it is another one than before."""
        try:
            inode = self.path.stat().st_ino
            if self._file and inode == self._inode:
                return False
            opened = self.path.open("rb")
        except (FileNotFoundError, NotADirectoryError):
            return False
        self.close()
        self._file, self._inode = opened, inode
        return True


class Recorder:
    """Follows a guest's serial files from now on, in a thread of its own; use as a context manager.

    Args:
        files: the serial file on each host, by host name. Hosts that share a directory write to one
            file: it is read once, and its lines are from ``node5/node6``.
        from_start: take what is in the files already too; its moments of arrival are those of reading.
    """

    def __init__(self, files: Mapping[str, Path], *, from_start: bool = False) -> None:
        names: dict[Path, list[str]] = {}
        for host, path in files.items():
            names.setdefault(path.resolve(), []).append(host)
        self._followers = [("/".join(hosts), _Follower(path, from_start=from_start)) for path, hosts in names.items()]
        self._partial = b""
        self._skip = any(follower.begins_within_line for _, follower in self._followers)
        self._heard: list[Heard] = []
        self._news = threading.Condition()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="recorder", daemon=True)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.stop()

    def start(self) -> None:
        """Begin to listen, if that has not been done."""
        if self._thread.ident is None:
            self._thread.start()

    def stop(self) -> None:
        """Stop listening; what was heard stays."""
        self._ended.set()
        if self._thread.ident is not None:
            self._thread.join()

    @property
    def heard(self) -> list[Heard]:
        """Everything heard so far."""
        with self._news:
            return list(self._heard)

    def report(self, since_s: float = 0.0, until_s: float = float("inf")) -> Report:
        """The report over lines that arrived between two moments of CLOCK_MONOTONIC."""
        return make_report([item for item in self.heard if since_s <= item.at_s <= until_s])

    def wait_ticks(self, count: int, timeout_s: float = 30.0) -> list[Heard]:
        """Wait for ``count`` further lines and return them.

        Raises:
            LabError: they did not come in time.
        """
        begin = len(self.heard)
        return self.wait_until(begin + count, timeout_s)[begin:]

    def wait_until(self, total: int, timeout_s: float = 30.0) -> list[Heard]:
        """Wait until ``total`` lines were heard since the start, and return those.

        Raises:
            LabError: they did not come in time.
        """
        with self._news:
            if not self._news.wait_for(lambda: len(self._heard) >= total, timeout_s):
                raise LabError(f"heard {len(self._heard)} of {total} ticks within {timeout_s:g} s")
            return self._heard[:total]

    def _run(self) -> None:
        with Inotify() as inotify:
            while not self._ended.is_set():
                self._watch(inotify)
                self._read()
                inotify.wait(_LOOK_AGAIN_S)
            self._read()
        for _, follower in self._followers:
            follower.close()

    def _watch(self, inotify: Inotify) -> None:
        for _, follower in self._followers:
            inotify.watch(follower.path.parent)
            inotify.watch(follower.path.parent.parent)  # where the guest's directory will be made

    def _read(self) -> None:
        """Take what is new, first from the file that was the last to grow: the tail of a line is in another one.

        That another file has grown says that the last one has come to its end: only then is its rest complete.
        """
        last_host, last = self._followers[0]
        for item in list(self._followers):
            host, follower = item
            if data := follower.read():
                if follower is not last and (rest := last.read()):
                    self._take(last_host, rest, clock.monotonic_s())
                self._take(host, data, clock.monotonic_s())
                self._followers.remove(item)
                self._followers.insert(0, item)

    def _take(self, host: str, data: bytes, at_s: float) -> None:
        *whole, self._partial = (self._partial + data).split(b"\n")
        if self._skip and whole:
            whole, self._skip = whole[1:], False
        lines = [line for line in (parse_line(text.decode(errors="replace")) for text in whole) if line]
        with self._news:
            self._heard += [Heard(at_s, host, line) for line in lines]
            self._news.notify_all()
