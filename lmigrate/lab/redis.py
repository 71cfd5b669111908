"""The lab's Redis: TCP with a password inside the lab's network, a UNIX socket for what runs on the machine."""

from __future__ import annotations

import socket

from lmigrate.lab import files
from lmigrate.lab.paths import LabPaths
from lmigrate.lab.state import LabState

PORT = 6379
_CONF = """\
bind {address}
port {port}
unixsocket {directory}/redis.sock
unixsocketperm 700
requirepass {password}
dir {directory}
daemonize no
save ""
appendonly yes
maxmemory-policy noeviction
enable-debug-command local
"""


def write_configuration(paths: LabPaths, state: LabState) -> None:
    """redis.conf, readable by root only: the password is in it."""
    conf = _CONF.format(address=state.addresses["ctl"], port=PORT, directory=paths.redis, password=state.redis_password)
    files.write(paths.redis / "redis.conf", conf, files.PRIVATE)


def command(paths: LabPaths) -> list[str]:
    """How it is started."""
    return ["redis-server", str(paths.redis / "redis.conf")]


def url(paths: LabPaths, state: LabState, *, inside: bool) -> str:
    """Kombu's URL from inside the lab's network or from the machine; token_urlsafe needs no quoting."""
    if inside:
        return f"redis://:{state.redis_password}@{state.addresses['ctl']}:{PORT}/0"
    return f"redis+socket://:{state.redis_password}@{paths.redis_socket}"


def answers(paths: LabPaths) -> bool:
    """Whether it accepts connections."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        return probe.connect_ex(str(paths.redis_socket)) == 0
