"""Hosts: what the daemons report, and whether a host can be counted on."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from lmigrate.db.models import Host


def by_name(session: Session, name: str) -> Host | None:
    """The host of that name, or None."""
    return session.scalar(select(Host).where(Host.name == name))


def all_hosts(session: Session) -> list[Host]:
    """Every host that ever registered, by name."""
    return list(session.scalars(select(Host).order_by(Host.name)))


#: what a daemon leaves behind that ends in good order
STOPPED = "its daemon was stopped"


def why_gone(host: Host, now: datetime, service_down_time_s: float) -> str | None:
    """Why work that ``host`` was given already is not waited for, or None.

    A daemon that was stopped in good order is likely being started anew: it has as long as one that just fell silent.
    """
    is_fresh = now - host.last_seen_at <= timedelta(seconds=service_down_time_s)
    if is_fresh and not host.forced_down and host.down_reason == STOPPED:
        return None
    return why_down(host, now, service_down_time_s)


def why_down(host: Host, now: datetime, service_down_time_s: float) -> str | None:
    """Why no work can be given to ``host``, or None when it is up."""
    if host.forced_down:
        return "it was forced down by an operator"
    age = now - host.last_seen_at
    if age > timedelta(seconds=service_down_time_s):
        return f"its daemon was last heard of {age.total_seconds():.0f} s ago"
    if not host.libvirt_ok:
        return host.down_reason or "its libvirtd does not answer"
    return None
