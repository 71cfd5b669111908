"""Wait until every host of a lab has registered and answers, as the API sees it."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Mapping
from datetime import datetime
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from lmigrate import clock
from lmigrate.lab import secure
from lmigrate.lab.errors import StartFailed, TokenRefused

if TYPE_CHECKING:
    from lmigrate.lab.topology import Lab

_DEADLINE_S = 90.0


def wait_for_hosts(lab: Lab, seen_since: Mapping[str, datetime], deadline_s: float = _DEADLINE_S) -> None:
    """Return when the API answers and lists every host as up.

    ``seen_since``: a host that stands in it counts only with a heartbeat that is newer, so that the
    last sign of life of a daemon that has died is not taken for one of its successor.

    Raises:
        StartFailed: it does not in time; shows the log of what is missing.
        TokenRefused: the API does not know the lab's own token.
    """
    until = clock.monotonic_s() + deadline_s
    while missing := _missing(lab, seen_since):
        if clock.monotonic_s() > until:
            node, daemon = (lab.host(min(missing)), "host") if _get(lab, "/healthz") else (lab.front, "api")
            log = f" The end of the log of {daemon} on {node.name}:\n{node.log_tail(daemon)}"
            raise StartFailed(what=f"the registration of {', '.join(sorted(missing))}", deadline_s=deadline_s, log=log)
        clock.sleep_s(0.2)


def _missing(lab: Lab, seen_since: Mapping[str, datetime]) -> set[str]:
    listed = (_get(lab, "/v1/hosts") or {}).get("hosts", [])
    return set(lab.hosts) - {host["name"] for host in listed if _is_up(host, seen_since.get(host["name"]))}


def _is_up(host: Mapping[str, Any], since: datetime | None) -> bool:
    return host["state"] == "up" and (since is None or datetime.fromisoformat(host["last_seen_at"]) >= since)


def _get(lab: Lab, path: str) -> dict[str, Any] | None:
    """A JSON object of the API; None while it does not answer.  Raises TokenRefused."""
    try:
        asked = urllib.request.Request(lab.url + path, headers=secure.headers(lab))  # noqa: S310 - our own loopback address
        with urllib.request.urlopen(asked, timeout=5, context=secure.context(lab)) as answer:  # noqa: S310 - as above
            return dict(json.load(answer))
    except urllib.error.HTTPError as error:
        if error.code == HTTPStatus.UNAUTHORIZED:
            raise TokenRefused(lab_id=lab.options.lab_id, file=lab.paths.token) from error
        return None
    except (urllib.error.URLError, OSError, ValueError):
        return None
