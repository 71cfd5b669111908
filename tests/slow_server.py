"""A server behind a wire that takes its time: each of its answers arrives late, none is lost."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator


class SlowWire:
    """Passes TCP connections on to a UNIX socket; what comes back waits for ``delay_s``, each piece in its turn."""

    def __init__(self, path: str, delay_s: float) -> None:
        self.delay_s = delay_s
        self._path = path
        self._is_over = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._open: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def port(self) -> int:
        """On 127.0.0.1."""
        return int(self._listener.getsockname()[1])

    def close(self) -> None:
        """Nothing passes any more."""
        self._is_over.set()
        self._hang_up()

    def _hang_up(self) -> None:
        for one in (self._listener, *self._open):
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):  # closed
            while True:
                client, _ = self._listener.accept()
                server = socket.socket(socket.AF_UNIX)
                self._open += [client, server]
                if self._is_over.is_set():  # it was closed before it knew of these two
                    return self._hang_up()
                server.connect(self._path)
                threading.Thread(target=self._pass, args=(client, server), daemon=True).start()
                threading.Thread(target=self._pass_late, args=(server, client), daemon=True).start()

    def _pass(self, one: socket.socket, other: socket.socket) -> None:
        with contextlib.suppress(OSError):  # either has hung up
            while data := one.recv(65536):
                other.sendall(data)
            other.shutdown(socket.SHUT_WR)

    def _pass_late(self, server: socket.socket, client: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := server.recv(65536):
                self._is_over.wait(self.delay_s)
                client.sendall(data)
            client.shutdown(socket.SHUT_WR)


@contextlib.contextmanager
def slow_wire(path: str, delay_s: float) -> Iterator[SlowWire]:
    """To the server that listens at the UNIX socket ``path``."""
    wire = SlowWire(path, delay_s)
    try:
        yield wire
    finally:
        wire.close()
