"""Private servers for tests: in a directory of their own, on a UNIX socket, ended by pid."""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import redis

START_DEADLINE_S = 30.0
STOP_DEADLINE_S = 15.0


@contextlib.contextmanager
def postgresql_server() -> Iterator[Path]:
    """Debian's PostgreSQL without durability; yields the directory of its socket.

    PostgreSQL refuses to run as root, so root hands the directory to the user ``postgres``.
    """
    binaries = newest_postgresql()
    account = pwd.getpwnam("postgres") if os.geteuid() == 0 else None
    with _directory("lmigrate-postgresql-", account) as directory:
        as_user = ["setpriv", f"--reuid={account.pw_uid}", f"--regid={account.pw_gid}", "--clear-groups"] if account else []
        initdb = [*as_user, f"{binaries}/initdb", "--username=lmigrate", "--auth=trust", "--no-sync", "--encoding=UTF8", "--locale=C.UTF-8"]
        subprocess.run([*initdb, f"{directory}/data"], check=True, capture_output=True, cwd=directory)
        options = {"listen_addresses": "", "unix_socket_directories": str(directory), "fsync": "off", "max_connections": "200"}
        argv = [*as_user, f"{binaries}/postgres", "-D", f"{directory}/data"]
        argv += [word for name, value in options.items() for word in ("-c", f"{name}={value}")]
        with _process(argv, directory, signal.SIGINT):
            _until(lambda: psycopg.connect(host=str(directory), user="lmigrate", dbname="postgres").close(), psycopg.OperationalError)
            yield directory


@contextlib.contextmanager
def redis_server() -> Iterator[str]:
    """A Redis that keeps nothing; yields its URL."""
    with _directory("lmigrate-redis-", None) as directory:
        socket = directory / "redis.sock"
        argv = ["redis-server", "--port", "0", "--unixsocket", str(socket), "--save", "", "--dir", str(directory)]
        with _process(argv, directory, signal.SIGTERM):
            with contextlib.closing(redis.Redis(unix_socket_path=str(socket))) as client:
                _until(client.ping, redis.ConnectionError)
            yield f"redis+socket://{socket}"


@contextlib.contextmanager
def frozen(pid: int) -> Iterator[None]:
    """A server and its children, which neither answer nor end; they go on afterwards."""
    os.kill(pid, signal.SIGSTOP)  # first: from then on it has no new children
    pids = [pid, *_children(pid)]
    _signal(pids, signal.SIGSTOP)
    try:
        yield
    finally:
        _signal(pids, signal.SIGCONT)


def _signal(pids: list[int], number: signal.Signals) -> None:
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):  # a child that was just about to end
            os.kill(pid, number)


def _children(pid: int) -> list[int]:
    return [int(child) for task in Path(f"/proc/{pid}/task").iterdir() for child in (task / "children").read_text().split()]


def newest_postgresql() -> Path:
    """The directory of the newest PostgreSQL's programs, as Debian lays them out."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name))
    if not found:
        raise FileNotFoundError("PostgreSQL is not installed: run `make deps`")
    return found[-1]


@contextlib.contextmanager
def _directory(prefix: str, owner: pwd.struct_passwd | None) -> Iterator[Path]:
    made = Path(tempfile.mkdtemp(prefix=prefix, dir="/tmp"))  # short: a socket's path has at most 107 bytes
    try:
        if owner:
            os.chown(made, owner.pw_uid, owner.pw_gid)
        yield made
    finally:
        shutil.rmtree(made)


@contextlib.contextmanager
def _process(argv: list[str], directory: Path, stop: signal.Signals) -> Iterator[None]:
    log = directory / "server.log"
    with log.open("wb") as output:
        # --pdeathsig: the server ends with the test run, also when that is killed
        guarded = ["setpriv", f"--pdeathsig={stop.name.removeprefix('SIG')}", *argv]
        server = subprocess.Popen(guarded, stdout=output, stderr=output, cwd=directory, start_new_session=True)
    try:
        yield
    finally:
        server.send_signal(stop)
        try:
            server.wait(STOP_DEADLINE_S)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()


def _until(attempt: Callable[[], object], not_yet: type[Exception]) -> None:
    deadline = time.monotonic() + START_DEADLINE_S
    while True:
        try:
            attempt()
        except not_yet:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)
        else:
            return
