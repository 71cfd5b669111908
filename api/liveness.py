"""Whether a host counts as up, by the settings of this process."""

from __future__ import annotations

from lmigrate.config import settings
from lmigrate.db.clock import utcnow
from lmigrate.db.models import Host
from lmigrate.db.stores.hosts import why_down


def down_reason(host: Host) -> str | None:
    """Why ``host`` is down; None when it is up."""
    return why_down(host, utcnow(), settings().scheduler.service_down_time_s)
