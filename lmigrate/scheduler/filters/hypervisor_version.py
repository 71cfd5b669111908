"""QEMU promises migration to the same or a newer version only."""

from __future__ import annotations

from lmigrate.errors import DestinationHypervisorTooOld
from lmigrate.scheduler.host_state import HostState
from lmigrate.scheduler.request import RequestSpec


def hypervisor_version(host: HostState, spec: RequestSpec) -> str | None:
    """Refuse an older QEMU than the source's; numbers as libvirt counts them."""
    if spec.qemu_version is None or host.qemu_version >= spec.qemu_version:
        return None
    return str(DestinationHypervisorTooOld(host=host.name, actual=_dotted(host.qemu_version), expected=_dotted(spec.qemu_version)))


def _dotted(version: int) -> str:
    """7002011 -> "7.2.11"."""
    return f"{version // 1_000_000}.{version // 1_000 % 1_000}.{version % 1_000}"
