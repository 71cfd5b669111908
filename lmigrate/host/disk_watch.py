"""Free space in the instances path, measured by a thread of its own: a dead NFS server must not stop the heartbeat."""

from __future__ import annotations

import shutil
import threading
from dataclasses import dataclass
from pathlib import Path

import structlog

from lmigrate import clock

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class DiskUsage:
    """The file system that holds the instances path."""

    total_bytes: int
    free_bytes: int
    measured_at_s: float  # monotonic


class DiskWatch:
    """Measures again and again; whoever asks gets the newest answer without waiting."""

    def __init__(self, path: Path, interval_s: float) -> None:
        self._path = path
        self._interval_s = interval_s
        self._started_at_s = clock.monotonic_s()
        self._usage: DiskUsage | None = None
        self._error: str | None = None
        self._has_answered = threading.Event()
        self._is_stopped = threading.Event()

    def start(self) -> None:
        """Begin measuring."""
        threading.Thread(target=self._run, name="disk-watch", daemon=True).start()

    def stop(self) -> None:
        """Measure no more."""
        self._is_stopped.set()

    def first(self, deadline_s: float) -> DiskUsage | None:
        """The first measurement, waited for at most ``deadline_s``."""
        self._has_answered.wait(deadline_s)
        return self._usage

    @property
    def usage(self) -> DiskUsage | None:
        """The newest measurement."""
        return self._usage

    def why_unusable(self, deadline_s: float) -> str | None:
        """Why no guest should come here, or None: the last measurement failed, or none came for ``deadline_s`` more than usual."""
        if self._error is not None:
            return f"the instances path {self._path} cannot be used: {self._error}"
        last_s = self._usage.measured_at_s if self._usage else self._started_at_s
        silent_s = clock.monotonic_s() - last_s
        if silent_s <= self._interval_s + deadline_s:
            return None
        return f"the file system of the instances path {self._path} has not answered for {silent_s:.0f} s"

    def measure(self) -> None:
        """Measure once; may hang with the file system."""
        try:
            found = shutil.disk_usage(self._path)
        except OSError as error:
            self._error = error.strerror or str(error)
        else:
            self._usage = DiskUsage(found.total, found.free, clock.monotonic_s())
            self._error = None
        self._has_answered.set()

    def _run(self) -> None:
        while not self._is_stopped.is_set():
            self.measure()
            self._is_stopped.wait(self._interval_s)


def ensure_directory(path: Path) -> None:
    """Make the instances path if it is missing; an empty one is fine for hosts whose guests live elsewhere."""
    if not path.exists():
        path.mkdir(parents=True, exist_ok=True)
        log.info("made the instances path", path=str(path))
