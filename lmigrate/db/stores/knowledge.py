"""What is known of a migration's guest on each of its two hosts: the newest of what the host was asked and what it reported."""

from __future__ import annotations

from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from lmigrate.db.models import DomainSighting, Host, Migration, Observation

Known = dict[str, Any]


def of_sides(session: Session, migration: Migration) -> dict[str, Known | None]:
    """``source`` and ``destination``: host, seen (fields of `migration.verdict.Seen`), seen_at (ISO), by; None: nothing is known."""
    hosts = {"source": migration.source_host, "destination": migration.dest_host}
    return {side: None if host is None else _newest(session, migration, side, host) for side, host in hosts.items()}


def _newest(session: Session, migration: Migration, side: str, host: str) -> Known | None:
    found = [known for known in (_asked(session, migration, side, host), _reported(session, migration, host)) if known is not None]
    return max(found, key=lambda known: str(known["seen_at"])) if found else _unmentioned(session, host)


def _asked(session: Session, migration: Migration, side: str, host: str) -> Known | None:
    query = select(Observation).where(Observation.migration_id == migration.id, Observation.side == side, Observation.host == host)
    row = session.scalar(query.order_by(Observation.round.desc()).limit(1))
    return None if row is None else {"host": host, "seen": row.seen, "seen_at": row.seen_at.isoformat(), "by": "asked"}


def _reported(session: Session, migration: Migration, host: str) -> Known | None:
    """From the host's inventory."""
    row = session.get(DomainSighting, (host, migration.instance_uuid), populate_existing=True)
    return (
        None if row is None else {"host": host, "seen": _seen(row, migration.uuid), "seen_at": row.seen_at.isoformat(), "by": "inventory"}
    )


def _unmentioned(session: Session, host: str) -> Known | None:
    """A host that is heard of, was never asked, and reports no such domain: it has none."""
    heard_at = session.scalar(select(Host.last_seen_at).where(Host.name == host, Host.libvirt_ok))
    return None if heard_at is None else {"host": host, "seen": {"exists": False}, "seen_at": heard_at.isoformat(), "by": "inventory"}


def _seen(row: DomainSighting, migration_uuid: str) -> dict[str, Any]:
    return {
        "exists": True,
        "power_state": row.power_state.value,
        "reason": row.reason,
        "is_job_active": False,
        "is_ours": row.description.get("migration_mark") == migration_uuid,
        "is_persistent": row.is_persistent,
    }
