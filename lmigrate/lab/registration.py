"""Wait until every host of a lab has registered and answers, as the API sees it."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from typing import TYPE_CHECKING, Any

from lmigrate import clock
from lmigrate.lab.errors import StartFailed

if TYPE_CHECKING:
    from lmigrate.lab.topology import Lab

_DEADLINE_S = 90.0


def wait_for_hosts(lab: Lab, deadline_s: float = _DEADLINE_S) -> None:
    """Return when the API answers and lists every host as up.

    Raises:
        StartFailed: it does not in time; shows the log of what is missing.
    """
    until = clock.monotonic_s() + deadline_s
    while missing := _missing(lab):
        if clock.monotonic_s() > until:
            node, daemon = (
                (lab.front, "api") if missing == set(lab.hosts) and not _get(lab, "/healthz") else (lab.host(min(missing)), "host")
            )
            log = f" The end of the log of {daemon} on {node.name}:\n{node.log_tail(daemon)}"
            raise StartFailed(what=f"the registration of {', '.join(sorted(missing))}", deadline_s=deadline_s, log=log)
        clock.sleep_s(0.2)


def _missing(lab: Lab) -> set[str]:
    listed = _get(lab, "/v1/hosts") or {}
    up = {host["name"] for host in listed.get("hosts", []) if host.get("state") == "up"}
    return set(lab.hosts) - up


def _get(lab: Lab, path: str) -> dict[str, Any] | None:
    """A JSON object of the API; None while it does not answer."""
    try:
        with urllib.request.urlopen(lab.url + path, timeout=5) as answer:  # noqa: S310 - our own loopback address
            return dict(json.load(answer))
    except (urllib.error.URLError, OSError, ValueError):
        return None
