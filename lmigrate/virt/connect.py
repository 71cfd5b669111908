"""The hypervisor of the host on which this process runs."""

from __future__ import annotations

from functools import cache

from lmigrate.config import settings
from lmigrate.virt.libvirt_hypervisor import LibvirtHypervisor
from lmigrate.virt.protocol import Hypervisor


@cache
def local_hypervisor() -> Hypervisor:
    """One shared, self-healing connection for all threads of this process."""
    host = settings().host
    return LibvirtHypervisor(host.libvirt_uri, host.name, host.libvirt_deadline_s)
