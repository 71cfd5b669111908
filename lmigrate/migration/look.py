"""One look at a guest on one host."""

from __future__ import annotations

from lmigrate.migration.verdict import Seen
from lmigrate.virt.protocol import Hypervisor


def look(hypervisor: Hypervisor, instance_uuid: str, migration_uuid: str) -> Seen:
    """What this host has of the guest now.

    The job is asked for before the domain: a move that ends between the two then looks like
    one that still goes on, which is harmless. The other way round, a source that has just been
    left would look like one that still has the guest and moves nothing.
    """
    job = hypervisor.job(instance_uuid)
    return Seen.of(hypervisor.domain(instance_uuid), job, migration_uuid)
