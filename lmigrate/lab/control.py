"""Talk to the first process of a node over its UNIX socket."""

from __future__ import annotations

import json
import os
import signal
import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lmigrate.lab.errors import LabError

_TIMEOUT_S = 10.0


@dataclass(frozen=True)
class DaemonState:
    """A daemon as its node knows it.

    ``inner_pid`` counts in the node's pid namespace; ``status`` is a wait status, None while it runs; ``restarts`` says how often it
    crashed and was started again.
    """

    name: str
    inner_pid: int
    status: int | None
    restarts: int

    @property
    def alive(self) -> bool:
        """Whether it runs."""
        return self.status is None

    @property
    def ending(self) -> str:
        """How it ended, for people."""
        if self.status is None:
            return "running"
        code = os.waitstatus_to_exitcode(self.status)
        return f"exit {code}" if code >= 0 else f"killed by {signal.Signals(-code).name}"


class Control:
    """The requests that a node's first process answers."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def daemons(self) -> dict[str, DaemonState]:
        """Every daemon that was ever started, by name.

        Raises:
            OSError: nobody listens.
        """
        answer = self._ask({"do": "list"})
        return {name: DaemonState(name, item["pid"], item["status"], item["restarts"]) for name, item in answer.items()}

    def start(self, name: str, argv: Sequence[str], env: Mapping[str, str], log: Path, *, restart: bool = False) -> bool:
        """Start a daemon, and with ``restart`` again whenever it crashes; False when it ran already."""
        request = {"do": "start", "name": name, "argv": list(argv), "env": dict(env), "log": str(log), "restart": restart}
        return bool(self._ask(request)["started"])

    def signal(self, name: str, number: int) -> bool:
        """Send a signal to a daemon; False when it does not run."""
        return bool(self._ask({"do": "signal", "name": name, "signal": int(number)})["sent"])

    def _ask(self, request: dict[str, Any]) -> dict[str, Any]:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(_TIMEOUT_S)
            connection.connect(str(self._path))
            connection.sendall(json.dumps(request).encode())
            connection.shutdown(socket.SHUT_WR)
            parts = []
            while part := connection.recv(65536):
                parts.append(part)
        answer: dict[str, Any] = json.loads(b"".join(parts) or b'{"error": "no answer"}')
        if "error" in answer:
            raise LabError(str(answer["error"]))
        return answer
