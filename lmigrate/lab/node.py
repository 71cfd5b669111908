"""A node: one set of namespaces with its first process, and whatever runs in it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from lmigrate import clock
from lmigrate.lab import files, processes
from lmigrate.lab.control import Control, DaemonState
from lmigrate.lab.errors import NodeDown
from lmigrate.lab.paths import LabPaths
from lmigrate.lab.wait import log_tail, wait_for

#: started again when it crashes, as its systemd unit has it; libvirt 9.0 sometimes does when a guest ends during its copy. Ours are not
#: (their units would): in a lab the end of one is something to look at
RESTARTED = frozenset({"libvirtd"})
_START_DEADLINE_S = 20.0


class Node:
    """One set of namespaces of a lab: ``ctl``, ``front`` or a host."""

    def __init__(self, paths: LabPaths, name: str, env: Mapping[str, str]) -> None:
        self.name = name
        self.env = dict(env)
        self._paths = paths
        self._config = paths.init_config(name)
        self._control = Control(paths.control_socket(name))

    # -- the node itself --------------------------------------------------------------------------

    @property
    def first_pid(self) -> int:
        """The process id of the node's first process, as numbered outside.

        Raises:
            NodeDown: there is none.
        """
        pid = processes.first_of_node(self._config)
        if pid is None:
            raise NodeDown(node=self.name, lab_id=self._paths.top.name)
        return pid

    @property
    def is_up(self) -> bool:
        """Whether the node runs and answers."""
        try:
            self._control.daemons()
        except OSError:
            return False
        return processes.first_of_node(self._config) is not None

    def start(self, *, mounts: Sequence[Mapping[str, str]], own_network: bool) -> None:
        """Make the namespaces and their first process, unless they are there already.

        Raises:
            StartFailed: it does not answer in time; the message ends with its log.
        """
        if self.is_up:
            return
        processes.kill_all_of_node(self._config)
        self._write_config(mounts, own_network=own_network)
        self._spawn(own_network=own_network)
        wait_for(f"node {self.name}", lambda: self.is_up, deadline_s=_START_DEADLINE_S, log=self._init_log)

    def crash(self) -> None:
        """Power off: the first process is killed, and with it everything in the node."""
        processes.kill_all_of_node(self._config)

    @property
    def _init_log(self) -> Path:
        return self._paths.log(self.name, "init")

    def _write_config(self, mounts: Sequence[Mapping[str, str]], *, own_network: bool) -> None:
        config: dict[str, Any] = {
            "hostname": self.name if own_network else None,
            "control": str(self._paths.control_socket(self.name)),
            "keep": str(self._paths.top),
            "mounts": list(mounts),
        }
        files.write(self._config, json.dumps(config, indent=1))

    def _spawn(self, *, own_network: bool) -> None:
        """Start the first process so that it outlives us and no zombie of it is ours to reap."""
        namespaces = ["--pid", "--mount", "--propagation", "private", *(["--uts", "--net"] if own_network else [])]
        init = [sys.executable, "-m", processes.INIT_MODULE, str(self._config)]
        with self._init_log.open("ab") as log:
            subprocess.run(
                ["setsid", "--fork", "unshare", "--fork", "--kill-child", *namespaces, *init],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=self.env,
                cwd="/",
                check=True,
            )

    # -- commands in it ---------------------------------------------------------------------------

    def run(
        self,
        argv: Sequence[str],
        *,
        check: bool = False,
        env: Mapping[str, str] | None = None,
        stdin: str | None = None,
        timeout_s: float = 60.0,
    ) -> subprocess.CompletedProcess[str]:
        """Run a command inside, to its end, with the node's environment plus ``env``.

        Raises:
            subprocess.CalledProcessError: ``check`` is set and it failed.
            subprocess.TimeoutExpired: it took too long; it has been killed.
        """
        return subprocess.run(
            self._enter(argv),
            input=stdin,
            stdin=subprocess.DEVNULL if stdin is None else None,
            capture_output=True,
            text=True,
            timeout=timeout_s,
            env=self.env | dict(env or {}),
            check=check,
        )

    def popen(self, argv: Sequence[str], **options: Any) -> subprocess.Popen[Any]:
        """Start a command inside; killing what is returned kills the command. ``options`` are Popen's."""
        options.setdefault("env", self.env)
        return subprocess.Popen(self._enter(argv), **options)

    def exec(self, argv: Sequence[str]) -> int:
        """Run a command inside on our own terminal; its exit code."""
        return subprocess.run(self._enter(argv), env=os.environ | self.env, check=False).returncode

    def _enter(self, argv: Sequence[str]) -> list[str]:
        joined = ["nsenter", "--target", str(self.first_pid), "--mount", "--uts", "--net", "--pid", "--"]
        # nsenter waits outside for its child inside and passes no signal on
        return [*joined, "setpriv", "--pdeathsig", "KILL", "--", *argv]

    # -- daemons in it ----------------------------------------------------------------------------

    def start_daemon(self, name: str, argv: Sequence[str], env: Mapping[str, str] | None = None) -> bool:
        """Start a daemon under the first process; False when it runs already."""
        try:
            return self._control.start(name, argv, self.env | dict(env or {}), self._paths.log(self.name, name), restart=name in RESTARTED)
        except OSError as error:
            raise NodeDown(node=self.name, lab_id=self._paths.top.name) from error

    def daemons(self) -> dict[str, DaemonState]:
        """The daemons that were started here, alive or not; empty when the node is down."""
        try:
            return self._control.daemons()
        except OSError:
            return {}

    def is_running(self, daemon: str) -> bool:
        """Whether a daemon of that name runs."""
        state = self.daemons().get(daemon)
        return state is not None and state.alive

    def pid_of(self, daemon: str) -> int | None:
        """The process id of a daemon as numbered outside; None when it does not run."""
        state = self.daemons().get(daemon)
        if state is None or not state.alive:
            return None
        return processes.outer_pid(self.first_pid, state.inner_pid)

    def kill(self, daemon: str, number: int = signal.SIGKILL, *, wait_s: float = 10.0) -> bool:
        """Send a signal to a daemon; after SIGKILL wait until it has ended. False when it did not run."""
        try:
            sent = self._control.signal(daemon, number)
        except OSError:
            return False
        if sent and number == signal.SIGKILL:
            wait_for(f"the end of {daemon} on {self.name}", lambda: not self.is_running(daemon), deadline_s=wait_s)
        return sent

    def kill_tree(self, daemon: str, number: int = signal.SIGKILL) -> bool:
        """Send a signal to a daemon and to all that it started; see :meth:`kill`. A stopped child is stopped as well."""
        pid = self.pid_of(daemon)
        if pid is None:
            return False
        for each in processes.with_descendants(pid)[1:]:
            with suppress(ProcessLookupError):
                os.kill(each, number)
        return self.kill(daemon, number)

    def stop_daemon(self, daemon: str, *, wait_s: float = 20.0) -> None:
        """End a daemon in good order (SIGTERM), or by force after ``wait_s`` seconds."""
        if not self.kill(daemon, signal.SIGTERM):
            return
        until = clock.monotonic_s() + wait_s
        while self.is_running(daemon):
            if clock.monotonic_s() > until:
                self.kill(daemon)
                return
            clock.sleep_s(0.05)

    def log_tail(self, daemon: str, lines: int = 15) -> str:
        """The end of a daemon's log."""
        return log_tail(self._paths.log(self.name, daemon), lines)

    def processes(self) -> dict[int, list[str]]:
        """Every process inside with its arguments, as numbered outside."""
        return {pid: processes.argv_of(pid) for pid in processes.in_namespace_of(self.first_pid)}

    def file(self, path: str) -> Path:
        """A path of this node's file system as reachable from outside, while the node is up."""
        return Path(f"/proc/{self.first_pid}/root") / path.lstrip("/")
