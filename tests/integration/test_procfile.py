"""`make run` for real: honcho starts the Procfile with default settings, everything answers, and all of it ends."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from lmigrate.lab.processes import all_pids, argv_of
from lmigrate.lab.wait import wait_for
from tests.servers import redis_server

pytestmark = [pytest.mark.one_database, pytest.mark.timeout(180)]

BIN = Path(sys.executable).parent
DEADLINE_S = 90.0


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def environment(tmp_path: Path) -> Iterator[dict[str, str]]:
    """What has no sensible default on a machine that others use: where things lie, and free ports."""
    with redis_server() as url:
        yield {
            "PATH": f"{BIN}:{os.environ['PATH']}",
            "HOME": str(tmp_path),
            "LMIGRATE_DATABASE__URL": f"sqlite:///{tmp_path}/lmigrate.sqlite",
            "LMIGRATE_BROKER__URL": url,
            "LMIGRATE_HOST__INSTANCES_PATH": str(tmp_path),
            "LMIGRATE_HOST__STATE_DIR": str(tmp_path / "run"),
            "LMIGRATE_HOST__LIBVIRT_URI": f"qemu+unix:///system?socket={tmp_path}/no-libvirtd",
            "LMIGRATE_API__BIND": f"127.0.0.1:{free_port()}",
            "LMIGRATE_FLOWER__BIND": f"127.0.0.1:{free_port()}",
        }


@contextlib.contextmanager
def honcho(repository: Path, environment: dict[str, str], output: Path) -> Iterator[subprocess.Popen[bytes]]:
    with output.open("wb") as log:
        started = subprocess.Popen(
            ["setpriv", "--pdeathsig", "TERM", "honcho", "start"], cwd=repository, env=environment, stdout=log, stderr=log
        )
    try:
        yield started
    finally:
        started.send_signal(signal.SIGTERM)
        started.wait(30)


def status_of(url: str) -> int | None:
    try:
        return httpx.get(url, timeout=5).status_code
    except httpx.TransportError:
        return None


def environment_of(pid: int) -> str:
    """Empty when the process has ended meanwhile."""
    try:
        return Path(f"/proc/{pid}/environ").read_text(errors="replace")
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return ""


def test_everything_starts_and_ends(repository: Path, environment: dict[str, str], tmp_path: Path) -> None:
    subprocess.run([BIN / "lmigrate", "db", "upgrade"], env=environment, check=True, capture_output=True)
    output = tmp_path / "honcho.log"
    with honcho(repository, environment, output) as running:
        api, flower = (f"http://{environment[name]}" for name in ("LMIGRATE_API__BIND", "LMIGRATE_FLOWER__BIND"))
        wait_for("the API", lambda: status_of(f"{api}/readyz") == 200, deadline_s=DEADLINE_S, log=output)
        wait_for("Flower, which asks for the password", lambda: status_of(flower) == 401, deadline_s=DEADLINE_S, log=output)
        wait_for("the host's daemon", lambda: "before libvirtd answers" in output.read_text(), deadline_s=DEADLINE_S, log=output)
        password = output.read_text().partition(": lmigrate:")[2].split()[0]
        assert httpx.get(f"{flower}/tasks", auth=("lmigrate", password), timeout=30).status_code == 200
        assert running.poll() is None, output.read_text()
    assert [argv_of(pid) for pid in all_pids() if str(tmp_path) in environment_of(pid)] == []
