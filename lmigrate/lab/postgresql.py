"""The lab's PostgreSQL, when it is asked for: a cluster of its own, run as Debian's user postgres."""

from __future__ import annotations

import shutil

from lmigrate.lab import files, secure
from lmigrate.lab.errors import LabError
from lmigrate.lab.node import Node
from lmigrate.lab.packages import postgresql_directory
from lmigrate.lab.paths import LabPaths
from lmigrate.lab.state import LabState
from lmigrate.lab.wait import wait_for

# as the ctl node sees it: reachable for the user postgres wherever the lab's directory lies
MOUNT_POINT = "/var/lib/lmigrate/postgresql"
_DATA = f"{MOUNT_POINT}/data"
_SOCKETS = f"{MOUNT_POINT}/sockets"
_AS_POSTGRES = ["setpriv", "--reuid", "postgres", "--regid", "postgres", "--init-groups", "--"]
_ROLE = _DATABASE = "lmigrate"
_START_DEADLINE_S = 30.0
# a lab's database need not survive a power cut of the machine
_CONF = """
listen_addresses = '{address}'
unix_socket_directories = '{sockets}'
max_connections = 200
shared_buffers = 32MB
fsync = off
synchronous_commit = off
full_page_writes = off
log_line_prefix = '%m [%p] %q%u@%d '
"""
_TLS_CONF = """
ssl = on
ssl_ca_file = '{directory}/ca.pem'
ssl_cert_file = '{directory}/cert.pem'
ssl_key_file = '{directory}/key.pem'
"""
_HBA = """\
local all all              scram-sha-256
{kind} all all {network}   scram-sha-256{clients}
"""


def mounts(paths: LabPaths) -> list[dict[str, str]]:
    """What the ctl node mounts for it."""
    return [{"kind": "bind", "source": str(paths.postgresql), "target": MOUNT_POINT}]


def command() -> list[str]:
    """How it is started."""
    return [*_AS_POSTGRES, str(postgresql_directory() / "postgres"), "-D", _DATA]


def url(paths: LabPaths, state: LabState, *, inside: bool) -> str:
    """SQLAlchemy's URL from inside the lab's network or from the machine."""
    credentials = f"{_ROLE}:{state.database_password}"
    if inside:
        return f"postgresql+psycopg://{credentials}@{state.addresses['ctl']}/{_DATABASE}"
    return f"postgresql+psycopg://{credentials}@/{_DATABASE}?host={paths.postgresql / 'sockets'}"


def make_cluster(paths: LabPaths, state: LabState, ctl: Node) -> None:
    """Make the data directory inside the running ctl node; once."""
    if (paths.postgresql / "made").exists():
        return
    shutil.rmtree(paths.postgresql / "data", ignore_errors=True)
    password_file = paths.postgresql / "password"
    files.write(password_file, state.database_password, files.PRIVATE)
    _copy_certificate(paths, state)
    _run(ctl, ["chown", "-R", "postgres:postgres", MOUNT_POINT])
    inside = f"{MOUNT_POINT}/{password_file.name}"
    initdb = [str(postgresql_directory() / "initdb"), "-D", _DATA, "-U", _ROLE, "-A", "scram-sha-256", "--pwfile", inside, "--no-sync"]
    _run(ctl, [*_AS_POSTGRES, *initdb, "--encoding", "UTF8", "--locale", "C.UTF-8"])
    password_file.unlink()
    data = paths.postgresql / "data"
    with (data / "postgresql.conf").open("a") as conf:
        conf.write(_CONF.format(address=state.addresses["ctl"], sockets=_SOCKETS))
        conf.write(_TLS_CONF.format(directory=f"{MOUNT_POINT}/tls") if state.options.secure else "")
    network = state.addresses["ctl"].rsplit(".", 1)[0] + ".0/24"
    (data / "pg_hba.conf").write_text(_HBA.format(network=network, **_wire(state)))
    (paths.postgresql / "made").touch()


def _copy_certificate(paths: LabPaths, state: LabState) -> None:
    """The node's certificate where the user postgres may read it."""
    if state.options.secure:
        own = {"ca.pem": secure.ca_file(paths), "cert.pem": secure.certificate_of(paths, "ctl"), "key.pem": secure.key_of(paths, "ctl")}
        for name, source in own.items():
            files.write(paths.postgresql / "tls" / name, source.read_bytes(), files.PRIVATE)


def _wire(state: LabState) -> dict[str, str]:
    """Whether clients come over TLS and show a certificate."""
    return {"kind": "hostssl", "clients": " clientcert=verify-ca"} if state.options.secure else {"kind": "host", "clients": ""}


def make_directories(paths: LabPaths) -> None:
    """What must exist before the ctl node mounts it."""
    (paths.postgresql / "sockets").mkdir(parents=True, exist_ok=True)


def wait_and_create(paths: LabPaths, state: LabState, ctl: Node) -> None:
    """Wait for the server and create the database unless it is there."""
    env = {"PGPASSWORD": state.database_password, "PGHOST": _SOCKETS, "PGUSER": _ROLE}

    def sql(statement: str) -> tuple[int, str]:
        done = ctl.run(["psql", "-d", "postgres", "-Atc", statement], env=env)
        return done.returncode, done.stdout.strip()

    wait_for(
        "PostgreSQL", lambda: sql("SELECT 1") == (0, "1"), deadline_s=_START_DEADLINE_S, log=paths.log("ctl", "postgresql"), poll_s=0.1
    )
    names = sql("SELECT datname FROM pg_database")[1].split()
    if _DATABASE not in names and sql(f"CREATE DATABASE {_DATABASE}")[0] != 0:
        raise LabError("PostgreSQL refuses to create the lab's database")


def _run(ctl: Node, argv: list[str]) -> None:
    done = ctl.run(argv)
    if done.returncode != 0:
        raise LabError(f"{argv[0]} failed: {done.stderr.strip()[-500:]}")
