"""Spread incoming migrations: two at once share one link and slow each other down."""

from __future__ import annotations

from lmigrate.scheduler.host_state import HostState


def fewest_migrations(host: HostState) -> float:
    """The fewer come in right now, the better."""
    return -float(host.incoming_migrations)
