"""One connection to the local libvirtd: opened when needed, opened again when lost, every call with a deadline."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, TypeVar

import libvirt
import structlog

from lmigrate.errors import HypervisorError, HypervisorUnavailable
from lmigrate.virt.deadline import Deadlines

T = TypeVar("T")
log = structlog.get_logger(__name__)

#: Two missed answers of a local daemon are plenty; the connection then closes and its calls return.
KEEPALIVE_INTERVAL_S = 5
KEEPALIVE_COUNT = 3

_LOST = {
    libvirt.VIR_ERR_RPC,
    libvirt.VIR_ERR_SYSTEM_ERROR,
    libvirt.VIR_ERR_INTERNAL_ERROR,
    libvirt.VIR_ERR_NO_CONNECT,
    libvirt.VIR_ERR_INVALID_CONN,
}


class _EventLoop:
    """libvirt's event loop, in one daemon thread of the process; without it keepalive and events do not work."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._is_running = False

    def start(self) -> None:
        """Start it once; must come before the first connection is opened."""
        with self._lock:
            if self._is_running:
                return
            libvirt.registerErrorHandler(lambda _context, _error: None, None)  # it prints to stderr by default
            libvirt.virEventRegisterDefaultImpl()
            threading.Thread(target=self._run, name="libvirt-events", daemon=True).start()
            self._is_running = True

    def _run(self) -> None:
        while True:
            libvirt.virEventRunDefaultImpl()


_EVENTS = _EventLoop()


class Connection:
    """A connection that heals itself.  Threads may share it."""

    def __init__(self, uri: str, host: str, deadline_s: float) -> None:
        self.host = host
        self._uri = uri
        self._deadlines = Deadlines(host, deadline_s)
        self._connection: libvirt.virConnect | None = None
        self._lock = threading.Lock()
        self._on_open: list[Callable[[libvirt.virConnect], None]] = []

    def call(self, name: str, function: Callable[[libvirt.virConnect], T], deadline_s: float | None = None) -> T:
        """``function(connection)`` in time; once more on a new connection if the old one turns out dead.

        Raises:
            HypervisorTimeout, HypervisorUnavailable, HypervisorError.
            libvirt.libvirtError: for a missing domain; the caller knows which one it asked for.
        """
        try:
            return self._deadlines.call(name, lambda: function(self._open()), deadline_s)
        except libvirt.libvirtError as error:
            if not self._is_lost(error):
                raise
            log.info("libvirt connection was lost; opening a new one", call=name, reason=str(error))
        self.close()
        return self._again(name, function, deadline_s)

    def call_alone(self, function: Callable[[libvirt.virConnect], T]) -> T:
        """``function(connection)`` on a connection of its own, for as long as it takes, and never twice.

        On a connection that waits for the end of a migration, other threads' answers are left lying for up to a
        keepalive interval (measured with libvirt 9.0: 5 s for a call that takes 10 ms on another connection).
        """
        opened = [self._deadlines.call("open", self._new)]
        try:
            return function(opened[0])
        finally:
            _let_go(opened)

    def _again(self, name: str, function: Callable[[libvirt.virConnect], T], deadline_s: float | None) -> T:
        try:
            return self._deadlines.call(name, lambda: function(self._open()), deadline_s)
        except libvirt.libvirtError as error:
            if self._is_lost(error):
                self.close()
                raise HypervisorUnavailable(host=self.host, reason=str(error)) from error
            raise

    def _is_lost(self, error: libvirt.libvirtError) -> bool:
        connection = self._connection
        if connection is None:
            return True
        return error.get_error_code() in _LOST and not connection.isAlive()

    def when_open(self, register: Callable[[libvirt.virConnect], None]) -> None:
        """Run ``register(connection)`` on this connection and on every one that is opened later."""
        try:
            self.call("register", register)
        finally:  # also when it cannot be opened now: it will be, by the next heartbeat
            self._on_open.append(register)

    def _open(self) -> libvirt.virConnect:
        with self._lock:
            opened = self._connection  # another thread may forget it at any moment
            if opened is None:
                opened = self._new()
                for register in self._on_open:
                    register(opened)
                self._connection = opened
            return opened

    def _new(self) -> libvirt.virConnect:
        _EVENTS.start()
        opened = libvirt.open(self._uri)
        _keep_alive(opened)
        return opened

    def close(self) -> None:
        """Forget the connection; the next call opens a new one.

        Never blocks: the lock is held by whoever opens one, for as long as libvirtd hangs, and the end of the last
        reference is a call to libvirtd too.
        """
        last = [self._connection]
        self._connection = None
        _let_go(last)


def _let_go(last: list[Any]) -> None:
    """Drop the last reference in a thread of its own: its end is a call to libvirtd, without a deadline."""
    threading.Thread(target=last.clear, name="libvirt-close", daemon=True).start()


def _keep_alive(opened: libvirt.virConnect) -> None:
    try:
        opened.setKeepAlive(KEEPALIVE_INTERVAL_S, KEEPALIVE_COUNT)
    except libvirt.libvirtError as error:
        if error.get_error_code() != libvirt.VIR_ERR_NO_SUPPORT:  # a driver in this very process: nothing to lose
            raise


def translated(error: libvirt.libvirtError, host: str) -> HypervisorError:
    """libvirt's error as one of ours, with its text, code and domain."""
    return HypervisorError(host=host, reason=f"{error} (libvirt error {error.get_error_code()}.{error.get_error_domain()})")
