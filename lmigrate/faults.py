"""Fail points: named places where a test or a lab can make the real thing fail.

Off unless ``faults.dir`` is set.  A file in that directory, named after the point,
says what happens there: ``raise`` (a fault of the system), ``raise-host``,
``raise-request``, ``sleep SECONDS``, ``kill`` (SIGKILL to the own process) or ``hold``.
A trailing ``once`` removes the file first, so that only the first passer is hit.

``hold`` stops the first passer until it is let go: the file is renamed to
``<point>.held``, which says that somebody stands there, and removing that lets him go on.
"""

from __future__ import annotations

import os
import signal
from pathlib import Path

from lmigrate import clock
from lmigrate.config import settings
from lmigrate.errors import InjectedFault, InjectedHostFault, InjectedRequestFault, LmigrateError

_RAISES: dict[str, type[LmigrateError]] = {
    "raise": InjectedFault,
    "raise-host": InjectedHostFault,
    "raise-request": InjectedRequestFault,
}

HELD = ".held"
_LOOK_AGAIN_S = 0.05


def failpoint(point: str) -> None:
    """Fail here if a test asked for it; costs one attribute look-up when faults are off."""
    directory = settings().faults.dir
    if directory is None:
        return
    words = _read(directory / point)
    if words:
        _act(words, directory / point)


def _read(path: Path) -> list[str]:
    try:
        words = path.read_text().split()
        if words and words[-1] == "once":
            path.unlink()
    except FileNotFoundError:  # the usual case, or another process took the "once"
        return []
    return words


def _act(words: list[str], path: Path) -> None:
    action = words[0]
    if action in _RAISES:
        raise _RAISES[action](point=path.name)
    if action == "sleep":
        clock.sleep_s(float(words[1]))
    elif action == "hold":
        _hold(path)
    elif action == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    else:
        raise ValueError(f"fail point {path.name}: unknown action {action!r}")


def _hold(path: Path) -> None:
    held = path.with_name(path.name + HELD)
    try:
        path.rename(held)
    except FileNotFoundError:  # another passer took it
        return
    while held.exists():
        clock.sleep_s(_LOOK_AGAIN_S)
