"""gunicorn's threads, for clients that do not go on: one of them must not hold a thread for ever.

gunicorn waits for a connection's first bytes with patience, and for the rest of a request without any end.
Two limits stand here: on each silence (the kernel's own receive timeout, so that TLS is covered), and on the
whole of a request, so that a byte now and then does not help.
"""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
from typing import Any

from gunicorn.workers.gthread import ThreadWorker

from lmigrate import clock
from lmigrate.config import settings


class ImpatientWorker(ThreadWorker):  # type: ignore[misc]
    """Ends connections whose request takes too long."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._begun: dict[Any, float] = {}
        self._lock = threading.Lock()

    def handle(self, conn: Any) -> Any:
        """One request, in a thread of the pool."""
        limit_silence(conn.sock, settings().api.read_timeout_s)
        with self._lock:
            self._begun[conn] = clock.monotonic_s()
        try:
            return super().handle(conn)
        finally:
            with self._lock:
                self._begun.pop(conn, None)

    def murder_pending(self) -> None:
        """gunicorn's main loop calls this at least once a second."""
        super().murder_pending()
        before = clock.monotonic_s() - settings().api.request_timeout_s
        with self._lock:
            late = [conn for conn, begun in self._begun.items() if begun < before]
        for conn in late:
            with contextlib.suppress(OSError):  # it may just have ended by itself
                conn.sock.shutdown(socket.SHUT_RDWR)


def limit_silence(connection: socket.socket, seconds: float) -> None:
    """Let a blocking read fail when nothing comes for so long."""
    whole = int(seconds)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, struct.pack("ll", whole, int((seconds - whole) * 1_000_000)))
