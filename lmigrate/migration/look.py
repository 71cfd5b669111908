"""One look at a guest on one host."""

from __future__ import annotations

from dataclasses import replace

from lmigrate.migration.verdict import Seen
from lmigrate.states import PowerState
from lmigrate.virt.protocol import Hypervisor


def look(hypervisor: Hypervisor, instance_uuid: str, migration_uuid: str) -> Seen:
    """What this host has of the guest now.

    The job is asked for before the domain: a move that ends between the two then looks like
    one that still goes on, which is harmless. The other way round, a source that has just been
    left would look like one that still has the guest and moves nothing.
    """
    job = hypervisor.job(instance_uuid)
    seen = Seen.of(hypervisor.domain(instance_uuid), job, migration_uuid)
    return replace(seen, has_sent_memory=hypervisor.has_sent_memory(instance_uuid)) if _may_have_left_unseen(seen) else seen


def _may_have_left_unseen(seen: Seen) -> bool:
    """Whether to ask QEMU: a transient guest that was paused during its move has then no state of its own, on neither host.

    If it ended on the destination, nothing is left there; a persistent one leaves its definition.
    """
    stands_still = seen.power_state is PowerState.PAUSED and not seen.is_incoming and not seen.is_job_active
    return stands_still and not seen.is_persistent
