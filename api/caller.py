"""Who asks.  There is no authentication yet: whoever can reach the loopback address is the administrator."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass

from lmigrate.errors import LmigrateError


class UnsafeBind(LmigrateError):
    """The API has no authentication yet and does not listen on {bind}: set api.bind (LMIGRATE_API__BIND) to a loopback address
    such as 127.0.0.1:8774, and reach it from elsewhere through a tunnel or a proxy that authenticates.
    """


@dataclass(frozen=True)
class Caller:
    """Whom a request is made for, in Nova's words."""

    user_id: str
    project_id: str


ADMINISTRATOR = Caller(user_id="admin", project_id="admin")


def current() -> Caller:
    """Who makes the present request."""
    return ADMINISTRATOR


def require_loopback(bind: str) -> None:
    """Accept loopback addresses and UNIX sockets only.

    Raises:
        UnsafeBind: others could reach the API.
    """
    if bind.startswith("unix:"):
        return
    host = bind.rpartition(":")[0].strip("[]")
    if host == "localhost":
        return
    try:
        is_loopback = ipaddress.ip_address(host).is_loopback
    except ValueError:
        is_loopback = False
    if not is_loopback:
        raise UnsafeBind(bind=bind)
