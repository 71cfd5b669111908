"""The daemon as a process: real Celery workers on a real Redis, a fake libvirtd."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import pytest

from lmigrate.db.clock import utcnow
from lmigrate.db.models import Host
from lmigrate.db.session import reading
from lmigrate.db.stores import hosts
from lmigrate.ids import new_uuid
from tests.unit.host.daemon_parts import until
from tests.wrong_clock import wrong_clock

_DAEMON = """
import sys
from lmigrate import log
from lmigrate.config import settings
from lmigrate.host.daemon import HostDaemon
from tests.fakes.small_hypervisor import SmallHypervisor
log.configure(settings().log)
sys.exit(HostDaemon(settings(), SmallHypervisor(uuid=sys.argv[1]).as_hypervisor(), sys.argv[2]).run())
"""
#: as above, but somebody hangs: libvirtd while the host registers, or the database when it signs off
_HANGING = """
import sys, threading
from pathlib import Path
from lmigrate.config import settings
from lmigrate.host import daemon
from lmigrate.host.heartbeat import Heartbeat
from tests.fakes.small_hypervisor import SmallHypervisor
def hang(*_):
    Path(sys.argv[4]).touch()
    threading.Event().wait(3600)
hypervisor = SmallHypervisor(uuid=sys.argv[1])
daemon.STOP_DEADLINE_S, daemon.LAST_RESORT_S = (60, 1) if sys.argv[3] == "libvirtd" else (1, 60)
if sys.argv[3] == "libvirtd":
    hypervisor.facts = hang
else:
    Heartbeat.say_goodbye = hang
sys.exit(daemon.HostDaemon(settings(), hypervisor.as_hypervisor(), sys.argv[2]).run())
"""
HOST_UUID = new_uuid()


@pytest.fixture
def environment(database: str, redis_url: str, tmp_path: Path, repository: Path) -> dict[str, str]:
    return {
        **os.environ,
        "PYTHONPATH": str(repository),
        "LMIGRATE_DATABASE__URL": database,
        "LMIGRATE_BROKER__URL": redis_url,
        "LMIGRATE_HOST__NAME": "node5",
        "LMIGRATE_HOST__INSTANCES_PATH": str(tmp_path / "instances"),
        "LMIGRATE_HOST__STATE_DIR": str(tmp_path / "state"),
        "LMIGRATE_HOST__HEARTBEAT_INTERVAL_S": "0.2",
    }


@contextmanager
def daemon(environment: dict[str, str], epoch: str) -> Iterator[subprocess.Popen[bytes]]:
    """A daemon whose workers are up; killed at the end if it still runs."""
    process = subprocess.Popen([sys.executable, "-c", _DAEMON, HOST_UUID, epoch], env=environment)
    try:
        until(lambda: len(workers_of(process.pid)) == 2, 60)
        yield process
    finally:
        process.kill()
        process.wait()


def workers_of(pid: int) -> dict[str, int]:
    """Pids of the Celery workers below ``pid`` by their names."""
    found = {}
    for status in Path("/proc").glob("[0-9]*/status"):
        try:
            is_child = f"PPid:\t{pid}\n" in status.read_text()
            arguments = (status.parent / "cmdline").read_text().split("\0")
        except OSError:  # it has just ended
            continue
        if is_child and "celery" in arguments and "--hostname" in arguments:
            found[arguments[arguments.index("--hostname") + 1]] = int(status.parent.name)
    return found


def is_running(pid: int) -> bool:
    try:
        return "State:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return False


def down_reason() -> str | None:
    with reading() as session:
        row = hosts.by_name(session, "node5")
        assert row is not None
        return hosts.why_down(row, utcnow(), 60)


def test_the_daemon_keeps_its_workers_and_takes_them_along(environment: dict[str, str]) -> None:
    with daemon(environment, new_uuid()) as process:
        until(lambda: down_reason() is None)
        first = workers_of(process.pid)
        assert set(first) == {"ctl@node5", "mig@node5"}

        os.kill(first["ctl@node5"], signal.SIGKILL)
        until(lambda: workers_of(process.pid).get("ctl@node5", first["ctl@node5"]) != first["ctl@node5"])
        second = workers_of(process.pid)
        assert second["mig@node5"] == first["mig@node5"]

        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
        assert not any(is_running(pid) for pid in second.values())
        assert down_reason() == "its daemon was stopped"


def test_a_killed_daemon_leaves_no_worker_behind(environment: dict[str, str]) -> None:
    with daemon(environment, new_uuid()) as process:
        workers = workers_of(process.pid)
        process.kill()
        process.wait()
        until(lambda: not any(is_running(pid) for pid in workers.values()), 5)


def test_a_second_daemon_takes_the_host_over(environment: dict[str, str]) -> None:
    young_epoch = new_uuid()
    with daemon(environment, new_uuid()) as old, daemon(environment, young_epoch):
        assert old.wait(30) == 3
        with reading() as session:
            assert session.query(Host).one().epoch == young_epoch
        assert down_reason() is None


def test_workers_know_the_epoch_of_their_daemon(environment: dict[str, str]) -> None:
    epoch = new_uuid()
    with daemon(environment, epoch) as process:
        for pid in workers_of(process.pid).values():
            assert f"LMIGRATE_HOST_EPOCH={epoch}" in Path(f"/proc/{pid}/environ").read_text().split("\0")


@pytest.mark.parametrize(("who", "code"), [("libvirtd", 143), ("database", 0)])
def test_a_daemon_ends_in_time_whoever_hangs(environment: dict[str, str], tmp_path: Path, who: str, code: int) -> None:
    mark = tmp_path / "hangs"
    process = subprocess.Popen([sys.executable, "-c", _HANGING, HOST_UUID, new_uuid(), who, str(mark)], env=environment)
    try:
        if who == "libvirtd":
            until(mark.exists, 60)
        else:
            until(lambda: len(workers_of(process.pid)) == 2, 60)
        workers = workers_of(process.pid)
        process.send_signal(signal.SIGTERM)
        assert process.wait(40) == code
        assert mark.exists()
        until(lambda: not any(is_running(pid) for pid in workers.values()), 5)
    finally:
        process.kill()
        process.wait()


@pytest.mark.postgresql
@pytest.mark.parametrize("off_s", [3600, -3600])
def test_a_host_whose_clock_is_an_hour_off(environment: dict[str, str], off_s: int, tmp_path: Path) -> None:
    """By its own clock it would seem down for an hour, or up for one too many."""
    wrong = environment | wrong_clock(tmp_path, off_s)
    told = subprocess.run(
        [sys.executable, "-c", "import time; print(int(time.time()))"], env=wrong, capture_output=True, text=True, check=True
    )
    assert abs(int(told.stdout) - utcnow().timestamp()) > 3000  # the library does what it is for
    with daemon(wrong, new_uuid()):
        until(lambda: down_reason() is None)
        with reading() as session:
            host = session.query(Host).one()
        for moment in (host.last_seen_at, host.started_at, host.created_at):
            assert abs(moment - utcnow()) < timedelta(minutes=5)
