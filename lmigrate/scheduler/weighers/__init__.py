"""Every weigher is a function from a host to a number, the greater the better, one file each."""

from __future__ import annotations

from collections.abc import Callable

from lmigrate.scheduler.host_state import HostState
from lmigrate.scheduler.weighers.fewest_migrations import fewest_migrations
from lmigrate.scheduler.weighers.free_ram import free_ram

Weigher = Callable[[HostState], float]

#: weigher -> how much it counts beside the others, once their numbers are stretched to 0..1 (as in Nova)
WEIGHERS: dict[Weigher, float] = {free_ram: 1.0, fewest_migrations: 1.0}

__all__ = ["WEIGHERS", "Weigher"]
