"""The daemons of a lab: how each is started, and what environment it gets."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import lmigrate
from lmigrate.lab import postgresql, redis, secure, tgt
from lmigrate.lab.packages import SEARCH_PATH
from lmigrate.lab.paths import INSTANCES_PATH, LabPaths
from lmigrate.lab.state import LabState

CTL, FRONT = "ctl", "front"
#: at which the centre's services listen in the lab's network
PORTS = {"redis": redis.PORT, "postgresql": 5432, "tgtd": 3260}
_PROJECT = Path(lmigrate.__file__).resolve().parents[1]
_LMIGRATE = [sys.executable, "-m", "lmigrate.cli.main"]


def lmigrate_command(*arguments: str) -> list[str]:
    """A command line of lmigrate itself."""
    return [*_LMIGRATE, *arguments]


def commands(paths: LabPaths, state: LabState, node: str) -> dict[str, list[str]]:
    """Command by daemon of a node, in the order in which they are started."""
    if node == CTL:
        database = {"postgresql": postgresql.command()} if state.options.database == "postgresql" else {}
        own = {name: lmigrate_command(name, "run") for name in ("conductor", "beat", "storage")}
        return {"redis": redis.command(paths), "tgtd": tgt.command(state)} | database | own
    if node == FRONT:
        return {"api": lmigrate_command("api", "run"), "flower": lmigrate_command("flower", "run")}
    return {"libvirtd": ["libvirtd", "--listen"], "host": lmigrate_command("host", "run")}


def environment(paths: LabPaths, state: LabState, node: str) -> dict[str, str]:
    """The whole environment of everything in a node: nothing is taken over from whoever started the lab."""
    inside = node != FRONT
    env = {
        "PATH": f"{Path(sys.executable).parent}:{SEARCH_PATH}",
        "HOME": "/root",
        "LANG": "C.UTF-8",
        "PYTHONPATH": str(_PROJECT),
        "PYTHONUNBUFFERED": "1",
        "LMIGRATE_URL": f"{'https' if state.options.secure else 'http'}://127.0.0.1:{state.api_port}",
        "LMIGRATE_DATABASE__URL": database_url(paths, state, inside=inside),
        "LMIGRATE_BROKER__URL": redis.url(paths, state, node),
        "LMIGRATE_MIGRATION__TLS": "true" if state.options.tls else "false",
        "LMIGRATE_FAULTS__DIR": str(paths.faults),
        "LMIGRATE_API__BIND": f"127.0.0.1:{state.api_port}",
        "LMIGRATE_FLOWER__BIND": f"127.0.0.1:{state.flower_port}",
        "LMIGRATE_FLOWER__BASIC_AUTH": f"lab:{state.flower_password}",
        "LMIGRATE_STORAGE__BACKENDS": tgt.backends(paths, state),
        "LMIGRATE_STORAGE__SERVES": tgt.BACKEND,
        "LMIGRATE_SECRETS__KEYS": json.dumps([state.secret_key]),
    }
    return env | secure.environment(paths, state, node) | _host_environment(state, node) | dict(state.options.env)


def daemon_environment(paths: LabPaths, state: LabState, node: str, daemon: str) -> dict[str, str]:
    """What a daemon gets beside its node's environment: in Redis the storage daemon is not who the conductor is."""
    return {"LMIGRATE_BROKER__URL": redis.url(paths, state, node, daemon)} if daemon == "storage" else {}


def database_url(paths: LabPaths, state: LabState, *, inside: bool) -> str:
    """SQLAlchemy's URL of the lab's database, from inside its network or from the machine."""
    if state.options.database == "sqlite":
        return f"sqlite:///{paths.sqlite}"
    return postgresql.url(paths, state, inside=inside)


def _host_environment(state: LabState, node: str) -> dict[str, str]:
    if node in (CTL, FRONT):
        return {}
    return {
        "LMIGRATE_HOST__NAME": node,
        "LMIGRATE_HOST__INSTANCES_PATH": str(INSTANCES_PATH),
        "LMIGRATE_HOST__MIGRATION_ADDRESS": node,
        "LMIGRATE_HOST__RESERVED_MEMORY_MIB": str(_reserved_memory_mib(state.options.memory_mib.get(node))),
    }


def _reserved_memory_mib(admitted_mib: int | None) -> int:
    """What a host must hold back so that it seems to have ``admitted_mib`` only; it cannot have more than the machine."""
    if admitted_mib is None:
        return 0
    total_kib = int(Path("/proc/meminfo").read_text().split()[1])
    return max(0, total_kib // 1024 - admitted_mib)
