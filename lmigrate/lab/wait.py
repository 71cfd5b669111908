"""Wait for something to become true, with a deadline and a log to show when it does not."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from pathlib import Path

from lmigrate import clock
from lmigrate.lab.errors import StartFailed


def wait_for(what: str, is_true: Callable[[], bool], *, deadline_s: float, log: Path | None = None, poll_s: float = 0.02) -> None:
    """Return as soon as ``is_true()`` holds.

    Raises:
        StartFailed: it does not within ``deadline_s`` seconds; names ``what`` and shows the end of ``log``.
    """
    until = clock.monotonic_s() + deadline_s
    while not is_true():
        if clock.monotonic_s() > until:
            raise StartFailed(what=what, deadline_s=deadline_s, log=f" The end of {log}:\n{log_tail(log)}" if log else "")
        clock.sleep_s(poll_s)


def log_tail(path: Path, lines: int = 15) -> str:
    """The last lines of a file; says so when there are none."""
    try:
        with path.open(errors="replace") as log:
            return "".join(deque(log, maxlen=lines)).rstrip() or "(empty)"
    except FileNotFoundError:
        return "(no log)"
