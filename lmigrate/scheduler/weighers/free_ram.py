"""Spread guests by memory."""

from __future__ import annotations

from lmigrate.scheduler.host_state import HostState


def free_ram(host: HostState) -> float:
    """Memory that is left, in MiB."""
    return float(host.available_memory_mib)
