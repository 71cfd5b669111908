"""QEMU on the destination must speak what the guest's volumes are reached by."""

from __future__ import annotations

from lmigrate.scheduler.host_state import HostState
from lmigrate.scheduler.request import RequestSpec


def protocols(host: HostState, spec: RequestSpec) -> str | None:
    """Refuse a host that has told what its QEMU speaks, if something is missing."""
    if host.protocols is None:
        return None
    missing = sorted(spec.protocols - host.protocols)
    if not missing:
        return None
    return f"its QEMU has no block driver for {' and '.join(missing)}, which the guest's disks need (Debian: qemu-block-extra)"
