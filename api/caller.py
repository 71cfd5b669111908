"""Who asks, and whether anybody has to say so."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal
from urllib.parse import urlsplit

from flask import g, request
from werkzeug.datastructures import Headers

from lmigrate.config import ApiSettings, AuthSettings
from lmigrate.states import Role

#: the one project that everything belongs to, in Nova's words
PROJECT = "admin"
Mode = Literal["token", "keystone", "none"]


@dataclass(frozen=True)
class Caller:
    """Whom a request is made for."""

    user_id: str
    project_id: str
    role: Role
    token_uuid: str | None = None


#: everybody, where nobody is asked
ADMINISTRATOR = Caller(user_id="admin", project_id=PROJECT, role=Role.ADMIN)


def current() -> Caller:
    """Who makes the present request.  There is nobody on routes that are open to everybody."""
    found: Caller = g.caller
    return found


def known() -> Caller | None:
    """Who makes the present request, if that is known yet."""
    found: Caller | None = g.get("caller")
    return found


def address() -> str:
    """Where the present request comes from; ``unix`` for a UNIX socket."""
    return address_in(request.environ)


def address_in(environ: Mapping[str, Any]) -> str:
    """The same of a WSGI environment."""
    return (environ.get("REMOTE_ADDR") or "unix")[:45]


def mode_of(auth: AuthSettings, api: ApiSettings, bind: str) -> Mode:
    """Whether callers at ``bind`` must say who they are.

    On a loopback address only this machine's users can ask, who are its administrators where lmigrate is tried out;
    so that it can be tried without a set-up, nobody is asked there unless the settings say so.
    Through a proxy others come to that address, too.
    """
    if auth.mode != "auto":
        return auth.mode
    return "none" if is_alone(api, bind) else "token"


def is_local(bind: str) -> bool:
    """Whether only this machine's own users reach ``bind``."""
    return bind.startswith("unix:") or is_loopback(bind.rpartition(":")[0])


def is_loopback(host: str) -> bool:
    """Whether a name or an address, as it stands in a URL, can be nothing but this machine."""
    host = host.strip("[]").lower()
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def names_other_machine(headers: Headers) -> tuple[str, str] | None:
    """The header that says that the request was meant for another machine than this, or comes from a page of another; and what it says.

    A browser on this machine sends the name in its address line as Host, whatever DNS made of it, and the page's as Origin.
    Only what is no browser leaves Host out: a load balancer that looks at /healthz by HTTP/1.0.
    """
    host = headers.get("Host")
    if host is not None and not is_loopback(_name_in(f"//{host}")):
        return "Host", host
    origin = headers.get("Origin")
    return None if origin is None or is_loopback(_name_in(origin)) else ("Origin", origin)


def _name_in(url: str) -> str:
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""


def is_alone(api: ApiSettings, bind: str) -> bool:
    """Whether nobody but this machine's users asks at ``bind``, not even through a proxy."""
    return is_local(bind) and not api.proxies


def why_risky(mode: Mode, bind: str, api: ApiSettings, *, has_tls: bool) -> list[str]:
    """What whoever starts the API at ``bind`` should read, a sentence each."""
    if mode == "none":
        reached_by = (
            "every user of this machine" if is_alone(api, bind) else f"everybody who reaches it{' or its proxy' if api.proxies else ''}"
        )
        return [
            f'NO AUTHENTICATION at {bind}: {reached_by} is the administrator. Set auth.mode = "token" (LMIGRATE_AUTH__MODE) to change that.'
        ]
    if is_local(bind) or has_tls or api.proxies:
        return []
    return [f"NO TLS at {bind}: tokens travel in the clear. Set tls.cert_file and tls.key_file, or put a proxy with TLS in front."]
