"""The lab's Redis: TCP with a password inside the lab's network, a UNIX socket for what runs on the machine."""

from __future__ import annotations

import socket

from lmigrate.lab import files, secure
from lmigrate.lab.paths import LabPaths
from lmigrate.lab.state import LabState

PORT = 6379
_CONF = """\
bind {address}
{access}
unixsocket {directory}/redis.sock
unixsocketperm 700
dir {directory}
daemonize no
save ""
appendonly yes
maxmemory-policy noeviction
enable-debug-command local
"""
_PLAIN = """\
port {port}
requirepass {password}"""
_SECURE = """\
port 0
tls-port {port}
tls-cert-file {certificate}
tls-key-file {key}
tls-ca-cert-file {ca}
tls-auth-clients yes
aclfile {directory}/users.acl"""


def write_configuration(paths: LabPaths, state: LabState) -> None:
    """redis.conf, readable by root only: the password is in it."""
    conf = _CONF.format(address=state.addresses["ctl"], directory=paths.redis, access=_access(paths, state))
    files.write(paths.redis / "redis.conf", conf, files.PRIVATE)


def _access(paths: LabPaths, state: LabState) -> str:
    if not state.options.secure:
        return _PLAIN.format(port=PORT, password=state.redis_password)
    files.write(paths.redis / "users.acl", secure.users_acl(state), files.PRIVATE)
    certificate, key = secure.certificate_of(paths, "ctl"), secure.key_of(paths, "ctl")
    return _SECURE.format(port=PORT, certificate=certificate, key=key, ca=secure.ca_file(paths), directory=paths.redis)


def command(paths: LabPaths) -> list[str]:
    """How it is started."""
    return ["redis-server", str(paths.redis / "redis.conf")]


def url(paths: LabPaths, state: LabState, node: str, daemon: str | None = None) -> str:
    """Kombu's URL for a daemon of a node; the front reaches Redis through its UNIX socket.  No password needs quoting."""
    user, password, scheme = "", state.redis_password, "redis"
    if state.options.secure:
        user = secure.broker_user_of(node, daemon)
        password, scheme = secure.broker_password(state, user), "rediss"
    if node == "front":
        return f"redis+socket://{user}:{password}@{paths.redis_socket}"
    return f"{scheme}://{user}:{password}@{state.addresses['ctl']}:{PORT}/0"


def answers(paths: LabPaths) -> bool:
    """Whether it accepts connections."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        return probe.connect_ex(str(paths.redis_socket)) == 0
