"""Deadlines for a host's instances directory: a mount whose server is gone lets every look at it wait until the server is back.

A step that begins then would keep its worker for as long. So what comes before the move asks first; what must
be done after it (undo, the source's tidying) waits, and goes on by itself when the mount is back.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import cache
from pathlib import Path

from lmigrate.config import HostSettings
from lmigrate.deadline import Deadlines
from lmigrate.errors import DirectoryUnavailable

#: a local disk answers in microseconds, a busy NFS server in less than a second
DEADLINE_S = 10.0


class DirectoryDeadlines(Deadlines):
    """For what only looks: a look that is left behind does nothing when it ends."""

    def __init__(self, host: str, directory: Path, deadline_s: float) -> None:
        super().__init__(f"{directory} of {host}", deadline_s)
        self._host, self._directory = host, directory

    def silence(self, call: str, deadline_s: float) -> DirectoryUnavailable:
        """No answer."""
        return self._unavailable(f"no answer to {call} within {deadline_s:g} s.")

    def refusal(self, reason: str) -> DirectoryUnavailable:
        """Not asked."""
        return self._unavailable(reason)

    def _unavailable(self, reason: str) -> DirectoryUnavailable:
        return DirectoryUnavailable(directory=self._directory, host=self._host, reason=reason)


@cache
def _deadlines(host: str, directory: Path, deadline_s: float) -> DirectoryDeadlines:
    return DirectoryDeadlines(host, directory, deadline_s)


def _ask(directory: Path) -> object:
    return os.statvfs(directory)


def require_answer(host: HostSettings, look: Callable[[Path], object] = _ask) -> None:
    """Return when the instances directory of this host has answered ``look``.

    Raises:
        DirectoryUnavailable: it has not, or did not the last few times.
        OSError: it has, with an error.
    """
    _deadlines(host.name, host.instances_path, DEADLINE_S).call("a look", lambda: look(host.instances_path))
