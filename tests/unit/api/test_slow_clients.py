"""The real server, and clients that do not go on."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

DEADLINE_S = 60.0


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """`lmigrate api run` with one thread, on a UNIX socket; patience of half a second for a silence, two for a request."""
    where = tmp_path_factory.mktemp("api") / "api.sock"
    options = {
        "LMIGRATE_DATABASE__URL": "sqlite://",
        "LMIGRATE_BROKER__URL": "memory://",
        "LMIGRATE_API__BIND": f"unix:{where}",
        "LMIGRATE_API__THREADS": "1",
        "LMIGRATE_API__READ_TIMEOUT_S": "0.5",
        "LMIGRATE_API__REQUEST_TIMEOUT_S": "2",
    }
    process = subprocess.Popen(
        [sys.executable, "-m", "api.serve"], env=os.environ | options, cwd=Path(__file__).parents[3], stderr=subprocess.PIPE, text=True
    )
    assert process.stderr is not None
    said = process.stderr.readline()
    assert "NO AUTHENTICATION" in said
    _until_up(where)
    yield where
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=DEADLINE_S)


def _until_up(where: Path) -> None:
    until = time.monotonic() + DEADLINE_S
    while True:
        try:
            connected(where).close()
        except (FileNotFoundError, ConnectionRefusedError):
            assert time.monotonic() < until
            time.sleep(0.05)
        else:
            return


def connected(where: Path) -> socket.socket:
    made = socket.socket(socket.AF_UNIX)
    made.settimeout(DEADLINE_S)
    try:
        made.connect(str(where))
    except OSError:
        made.close()
        raise
    return made


def health(where: Path) -> bytes:
    with connected(where) as client:
        client.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        return client.recv(100)


def test_a_client_that_falls_silent_is_cut_off(server: Path) -> None:
    """In the midst of its headers, and of its body; the only thread then serves others."""
    for begun in (
        b"GET /healthz HT",
        b"POST /v1/tokens HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 50\r\n\r\n{",
    ):
        with connected(server) as silent:
            silent.sendall(begun)
            assert health(server).startswith(b"HTTP/1.1 200")
            while silent.recv(1000):
                pass  # an answer, if there is one, and then the end


def test_a_client_that_drips_is_cut_off_too(server: Path) -> None:
    with connected(server) as slow:
        slow.sendall(b"GET /healthz HTTP/1.1\r\nX-Long: ")
        with pytest.raises(OSError, match=r"."):  # noqa: PT012 - the pipe breaks after some drops
            for _ in range(int(DEADLINE_S / 0.1)):
                slow.sendall(b"x")
                time.sleep(0.1)
        assert health(server).startswith(b"HTTP/1.1 200")
