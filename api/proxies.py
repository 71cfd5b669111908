"""Which proxies may say where a request came from."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from typing import Any

from werkzeug.middleware.proxy_fix import ProxyFix

Wsgi = Callable[[dict[str, Any], Any], Iterable[bytes]]


class TrustedProxies:
    """Believes X-Forwarded-For, -Proto and -Host of the named peers; those of anybody else are left unread."""

    def __init__(self, app: Wsgi, named: Iterable[str]) -> None:
        self._plain = app
        self._forwarded = ProxyFix(app, x_for=1, x_proto=1, x_host=1)
        names = set(named)
        self._has_unix = "unix" in names
        self._networks = [ip_network(one) for one in names - {"unix"}]

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        """WSGI."""
        chosen: Wsgi = self._forwarded if self.trusts(environ.get("REMOTE_ADDR", "")) else self._plain
        return chosen(environ, start_response)

    def trusts(self, peer: str) -> bool:
        """Whether ``peer`` (an address; empty: a UNIX socket) is one of them."""
        return _is_in(peer, self._networks) if peer else self._has_unix


def _is_in(peer: str, networks: Iterable[IPv4Network | IPv6Network]) -> bool:
    try:
        address = ip_address(peer)
    except ValueError:
        return False
    return any(address in network for network in networks)
