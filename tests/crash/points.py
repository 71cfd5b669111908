"""Every moment at which a worker may die, found by watching one: each effect and each commit has a before and an after.

Watched are all methods of the hypervisor and of the storage's driver but those that only read, every change in the file
system and every command (by the interpreter's own audit events, so that none can be forgotten), what is written into a
file, every commit, and every message sent.
"""

from __future__ import annotations

import os
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import IO, Any, Self
from unittest import mock

from sqlalchemy import event

from lmigrate.db.session import Session
from tests.integration.mail import WorkerDied

#: what changes nothing; whatever else the protocols have, or come to have, is an effect
HYPERVISOR_READS = frozenset(
    {
        "ping",
        "facts",
        "domains",
        "domain",
        "domain_xml",
        "compare_cpu",
        "interlocks",
        "read_disk",
        "job",
        "completed_job",
        "autostart",
        "secrets",
        "listen",
        "close",
        "has_sent_memory",
    }
)
DRIVER_READS = frozenset({"source_name", "size_bytes", "granted", "locate"})
#: audit events of changes in the file system: https://docs.python.org/3/library/audit_events.html
_FILE_EVENTS = frozenset({"os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.link", "os.symlink", "os.chmod", "os.truncate", "os.chown"})
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT


@dataclass(frozen=True)
class Point:
    """A moment in the work on one message."""

    work: str  # the message's name, as in Flower
    effect: str
    moment: str  # before | after | …

    number: int = 0  # which of those that are the same otherwise

    def __str__(self) -> str:
        return f"{self.work}: {self.moment} {self.effect} ({self.number})"


@dataclass(eq=False)
class Worker:
    """Whoever works on one message.  Dead, it gets nothing done any more, and everything it asks ends it."""

    name: str
    is_dead: bool = False
    ended: threading.Event = field(default_factory=threading.Event)


class Points:
    """Keeps the points that workers pass, and lets the worker die that passes one of ``deadly``."""

    def __init__(self, top: Path, *deadly: Point) -> None:
        self.top = str(top)
        self.passed: list[Point] = []
        self.deaths: list[Point] = []
        self.is_over = False  # nobody dies any more
        self._counts: Counter[Point] = Counter()
        self._deadly = set(deadly)
        self._here = threading.local()

    @property
    def worker(self) -> Worker | None:
        """Who works in this thread; None also while a hypervisor or a storage does its part."""
        return getattr(self._here, "worker", None)

    @contextmanager
    def working(self, worker: Worker | None) -> Iterator[None]:
        """This thread does the work of ``worker`` (None: nobody's)."""
        before, self._here.worker = self.worker, worker
        try:
            yield
        finally:
            self._here.worker = before

    def work(self, name: str, body: Callable[[], Any]) -> Any:
        """Do ``body`` as a worker does: at the end it sends on what follows in the chain, unless it dies first."""
        worker = Worker(name)
        try:
            with self.working(worker):
                done = body()
                self.pass_by(worker, "the chain's next message", "before")
                return done
        finally:
            worker.ended.set()

    def pass_by(self, worker: Worker | None, effect: str, moment: str) -> None:
        """One point.

        Raises:
            WorkerDied: the worker dies here, or is dead.
        """
        if worker is None:
            return
        self.check_alive(worker)
        point = self._next(Point(worker.name, effect, moment))
        self.passed.append(point)
        if self._is_deadly(point):
            self.deaths.append(point)
            worker.is_dead = True
            raise WorkerDied

    def _is_deadly(self, point: Point) -> bool:
        return point in self._deadly and not self.is_over

    def _next(self, point: Point) -> Point:
        self._counts[point] += 1
        return replace(point, number=self._counts[point])

    def check_alive(self, worker: Worker | None) -> None:
        """
        Raises:
            WorkerDied: it is dead.
        """
        if worker is not None and worker.is_dead:
            raise WorkerDied

    def call(self, worker: Worker | None, effect: str, body: Callable[[], Any]) -> Any:
        """``body``, done by somebody else on the worker's behalf, between two points."""
        self.pass_by(worker, effect, "before")
        with self.working(None):
            done = body()
        self.pass_by(worker, effect, "after")
        return done


class Watched:
    """An object of which every method that is not one of ``reads`` is an effect."""

    def __init__(self, points: Points, worker: Worker | None, inner: object, reads: frozenset[str], kind: str) -> None:
        self._points, self._worker, self._inner, self._reads, self._kind = points, worker, inner, reads, kind

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._inner, name)

        def called(*args: Any, **kwargs: Any) -> Any:
            if name not in self._reads:
                return self._points.call(self._worker, f"{self._kind}.{name}", lambda: method(*args, **kwargs))
            self._points.check_alive(self._worker)
            with self._points.working(None):
                return method(*args, **kwargs)

        return called


class _WatchedFile:
    """A file that is written to."""

    def __init__(self, points: Points, file: IO[Any]) -> None:
        self._points, self._file = points, file

    def write(self, data: Any) -> int:
        self._points.pass_by(self._points.worker, "file.write", "before")
        return self._file.write(data)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self._file.close()


@contextmanager
def watching(points: Points) -> Iterator[None]:
    """Watch commits, files and commands of this process."""

    def before_commit(session: Session) -> None:
        if not session.in_nested_transaction():
            points.pass_by(points.worker, "commit", "before")

    def after_commit(session: Session) -> None:
        if not session.in_nested_transaction():
            points.pass_by(points.worker, "commit", "after")

    def after_begin(_session: Session, _transaction: object, _connection: object) -> None:
        points.check_alive(points.worker)

    listeners: dict[str, Callable[..., None]] = {"before_commit": before_commit, "after_commit": after_commit, "after_begin": after_begin}
    for name, listener in listeners.items():
        event.listen(Session, name, listener)
    opened = Path.open

    def open_watched(path: Path, mode: str = "r", *args: Any, **kwargs: Any) -> Any:
        file = opened(path, mode, *args, **kwargs)
        is_ours = points.worker is not None and not set(mode).isdisjoint("wax+")
        return _WatchedFile(points, file) if is_ours else file

    _audited.append(points)
    try:
        with mock.patch.object(Path, "open", open_watched):
            yield
    finally:
        _audited.remove(points)
        for name, listener in listeners.items():
            event.remove(Session, name, listener)


_audited: list[Points] = []


def _audit(name: str, args: tuple[Any, ...]) -> None:
    """The interpreter's audit hook; what it raises, the audited call raises, before it has done anything."""
    if not _audited:
        return
    points = _audited[-1]
    if name == "subprocess.Popen":
        points.pass_by(points.worker, f"run {Path(str(args[0])).name}", "before")
    elif (name in _FILE_EVENTS or (name == "open" and _is_written(args))) and _is_ours(points, str(args[0])):
        points.pass_by(points.worker, name if name != "open" else "open for writing", "before")


def _is_ours(points: Points, path: str) -> bool:
    """Below the hosts' directories; relative to a directory is what `shutil.rmtree` removes."""
    return path.startswith(points.top) or not path.startswith("/")


def _is_written(args: tuple[Any, ...]) -> bool:
    _path, mode, flags = args
    return bool(flags & _WRITING) if mode is None else not set(mode).isdisjoint("wax+")


sys.addaudithook(_audit)
