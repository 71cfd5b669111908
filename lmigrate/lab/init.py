"""The first process of a node: PID 1 in namespaces of its own.

It sets the node's name, makes its mounts, brings up the loopback device, starts daemons on request
and reaps every child at once (libvirt waits for an ended QEMU with kill(pid, 0), which a zombie
answers).  When it dies, the kernel kills everything in the node.

Run as ``python -m lmigrate.lab.init CONFIG`` by `lmigrate.lab.node`.  Standard library only.
"""

from __future__ import annotations

import fcntl
import json
import os
import selectors
import signal
import socket
import struct
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from lmigrate.lab import mounts

SIOCGIFFLAGS, SIOCSIFFLAGS, IFF_UP = 0x8913, 0x8914, 1
_REQUEST_TIMEOUT_S = 1.0  # a client that does not finish its request must not hold up the reaping
_RESTARTS = 5  # of one that crashes, until it is left dead; systemd's DefaultStartLimitBurst
_ENDS = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT)


@dataclass
class _Daemon:
    """A child that was asked for by name.

    Attributes:
        request: what it was started with.
        pid: its process id in the node.
        status: its wait status once it has ended.
        restarts: how often it crashed and was started again.
        sent_end: whether somebody has asked for its end; such an end is no crash.
    """

    request: dict[str, Any]
    pid: int
    status: int | None = None
    restarts: int = 0
    sent_end: bool = False

    @property
    def is_to_be_restarted(self) -> bool:
        """As systemd's ``Restart=on-failure`` has it."""
        return bool(self.request.get("restart")) and bool(self.status) and not self.sent_end and self.restarts < _RESTARTS


class Init:
    """Starts, lists and signals the node's daemons, and reaps."""

    def __init__(self, control: socket.socket) -> None:
        self._control = control
        self._daemons: dict[str, _Daemon] = {}

    def serve(self) -> NoReturn:
        """Answer requests and reap children, for ever."""
        awake, waker = socket.socketpair()
        for end in (awake, waker):
            end.setblocking(False)
        signal.set_wakeup_fd(waker.fileno(), warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda _number, _frame: None)
        self._reap()
        with selectors.DefaultSelector() as selector:
            selector.register(awake, selectors.EVENT_READ)
            selector.register(self._control, selectors.EVENT_READ)
            while True:
                ready = {key.fileobj for key, _ in selector.select()}
                if awake in ready:
                    awake.recv(4096)
                    self._reap()
                if self._control in ready:
                    self._answer()

    def _reap(self) -> None:
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            for daemon in self._daemons.values():
                if daemon.pid == pid and daemon.status is None:
                    daemon.status = status
                    _restart_crashed(daemon)

    def _answer(self) -> None:
        connection, _ = self._control.accept()
        with connection:
            connection.settimeout(_REQUEST_TIMEOUT_S)
            try:
                answer = self._handle(json.loads(_receive(connection)))
                connection.sendall(json.dumps(answer).encode())
            except (OSError, ValueError) as error:
                sys.stderr.write(f"request failed: {error}\n")

    def _handle(self, request: dict[str, Any]) -> dict[str, Any]:
        self._reap()
        match request.get("do"):
            case "list":
                return {name: _as_json(daemon) for name, daemon in self._daemons.items()}
            case "start":
                return self._start(request)
            case "signal":
                return self._signal(request["name"], request["signal"])
            case unknown:
                return {"error": f"unknown request {unknown!r}"}

    def _start(self, request: dict[str, Any]) -> dict[str, Any]:
        """Start a daemon unless one of that name runs: there is never a second copy."""
        known = self._daemons.get(request["name"])
        if known and known.status is None:
            return {"pid": known.pid, "started": False}
        try:
            pid = _spawn(request)
        except OSError as error:
            return {"error": f"{request['argv'][0]}: {error}"}
        self._daemons[request["name"]] = _Daemon(request, pid)
        return {"pid": pid, "started": True}

    def _signal(self, name: str, number: int) -> dict[str, Any]:
        daemon = self._daemons.get(name)
        if daemon is None or daemon.status is not None:
            return {"sent": False}
        daemon.sent_end |= number in _ENDS
        os.kill(daemon.pid, number)  # cannot hit another process: only _reap makes the number free
        return {"sent": True}


def _spawn(request: dict[str, Any]) -> int:
    """Start what is asked for in a session of its own; its process id."""
    argv: list[str] = request["argv"]
    log = os.O_WRONLY | os.O_CREAT | os.O_APPEND
    return os.posix_spawnp(
        argv[0],
        argv,
        request["env"],
        file_actions=[
            (os.POSIX_SPAWN_OPEN, 0, "/dev/null", os.O_RDONLY, 0),
            (os.POSIX_SPAWN_OPEN, 1, request["log"], log, 0o600),
            (os.POSIX_SPAWN_DUP2, 1, 2),
        ],
        setsid=True,
        setsigmask=[],
        setsigdef=[signal.SIGCHLD, signal.SIGTERM, signal.SIGINT, signal.SIGPIPE],
    )


def _restart_crashed(daemon: _Daemon) -> None:
    if not daemon.is_to_be_restarted:
        return
    sys.stderr.write(f"{daemon.request['name']} crashed ({os.waitstatus_to_exitcode(daemon.status or 0)}) and is started again\n")
    daemon.pid, daemon.status, daemon.restarts = _spawn(daemon.request), None, daemon.restarts + 1


def _as_json(daemon: _Daemon) -> dict[str, Any]:
    return {"pid": daemon.pid, "status": daemon.status, "restarts": daemon.restarts}


def _receive(connection: socket.socket) -> bytes:
    parts = []
    while part := connection.recv(65536):
        parts.append(part)
    return b"".join(parts)


def _loopback_up() -> None:
    """What `ip link set lo up` does."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        _, flags = struct.unpack("16sh", fcntl.ioctl(probe, SIOCGIFFLAGS, struct.pack("16sh", b"lo", 0)))
        fcntl.ioctl(probe, SIOCSIFFLAGS, struct.pack("16sh", b"lo", flags | IFF_UP))


def _mount_all(specs: list[dict[str, str]], keep: Path) -> None:
    """Make the mounts in order; ``keep`` (the lab's directory) stays visible whatever is laid over it."""
    handle = os.open(keep, os.O_PATH | os.O_DIRECTORY)
    for spec in specs:
        mounts.perform(spec)
        if not keep.exists() or not os.path.samestat(keep.stat(), os.fstat(handle)):
            mounts.bind(f"/proc/self/fd/{handle}", str(keep))
    os.close(handle)


def _listen(path: Path) -> socket.socket:
    path.unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind(str(path))
    path.chmod(0o600)
    listener.listen(16)
    return listener


def _terminate(_number: int, _frame: object) -> None:
    raise SystemExit(0)


def main(config_path: str) -> NoReturn:
    """Set the node up as ``config_path`` says and serve it."""
    signal.signal(signal.SIGTERM, _terminate)
    config = json.loads(Path(config_path).read_text())
    os.umask(0o022)
    if config["hostname"]:
        socket.sethostname(config["hostname"])
        _loopback_up()
    _mount_all(config["mounts"], Path(config["keep"]))
    os.chdir("/")
    Init(_listen(Path(config["control"]))).serve()


if __name__ == "__main__":
    main(sys.argv[1])
