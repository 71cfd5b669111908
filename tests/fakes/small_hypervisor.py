"""A libvirtd of which only the looking works: for the daemon's own parts, which never change a domain."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, cast

from lmigrate.errors import HypervisorError
from lmigrate.ids import new_uuid
from lmigrate.states import PowerState
from lmigrate.virt.protocol import Hypervisor
from lmigrate.virt.types import DiskInfo, DomainInfo, HostFacts


class SmallHypervisor:
    """Has facts and domains, tells of changes, and fails when told to."""

    def __init__(self, **facts: Any) -> None:
        self.host_facts = host_facts(**facts)
        self.infos: dict[str, DomainInfo] = {}
        self.failure: HypervisorError | None = None
        self.listeners: list[Callable[[str], None]] = []
        self.while_listing: Callable[[], None] = lambda: None

    def ping(self) -> None:
        """Answer, or fail as told."""
        if self.failure is not None:
            raise self.failure

    def facts(self) -> HostFacts:
        """What the test said."""
        self.ping()
        return self.host_facts

    def domains(self) -> list[DomainInfo]:
        """All of them; then what the test wants to happen between the look and the answer."""
        self.ping()
        found = list(self.infos.values())
        self.while_listing()
        return found

    def domain(self, uuid: str) -> DomainInfo | None:
        """One of them."""
        self.ping()
        return self.infos.get(uuid)

    def listen(self, changed: Callable[[str], None]) -> None:
        """Tell ``changed`` from now on."""
        self.ping()
        self.listeners.append(changed)

    def put(self, info: DomainInfo, **changes: Any) -> DomainInfo:
        """A domain appears or changes."""
        self.infos[info.uuid] = replace(info, **changes)
        self._tell(info.uuid)
        return self.infos[info.uuid]

    def remove(self, uuid: str) -> None:
        """A domain disappears."""
        del self.infos[uuid]
        self._tell(uuid)

    def as_hypervisor(self) -> Hypervisor:
        """The same, for code that could ask for more."""
        return cast("Hypervisor", self)

    def _tell(self, uuid: str) -> None:
        for changed in self.listeners:
            changed(uuid)


def host_facts(**fields: Any) -> HostFacts:
    """A usual KVM host with 4 GiB."""
    values: dict[str, Any] = {
        "uuid": new_uuid(),
        "hostname": "node5",
        "hypervisor_type": "QEMU",
        "libvirt_version": 9_000_000,
        "qemu_version": 7_002_000,
        "virt_types": ("kvm", "qemu"),
        "arch": "x86_64",
        "vcpus": 8,
        "memory_mib": 4096,
        "cpu_model": "Skylake-Client",
        "cpu_vendor": "Intel",
        "cpu_features": ("vmx",),
        "usable_models": ("qemu64",),
        "cpu_xml": "<cpu/>",
        **fields,
    }
    return HostFacts(**values)


def domain_info(**fields: Any) -> DomainInfo:
    """A running guest of 1 GiB without disks."""
    uuid = fields.pop("uuid", None) or new_uuid()
    values: dict[str, Any] = {
        "name": f"guest-{uuid[:8]}",
        "power_state": PowerState.RUNNING,
        "reason": "booted",
        "is_persistent": True,
        "memory_mib": 1024,
        "vcpus": 1,
        "virt_type": "kvm",
        "cpu_xml": None,
        "disks": (),
        "migration_mark": None,
        **fields,
    }
    return DomainInfo(uuid=uuid, **values)


def disk_info(device_name: str = "vda", **fields: Any) -> DiskInfo:
    """A local qcow2 image of 1 GiB."""
    values: dict[str, Any] = {
        "device_type": "disk",
        "source_type": "file",
        "path": f"/var/lib/lmigrate/instances/{device_name}",
        "format": "qcow2",
        "bus": "virtio",
        "serial": None,
        "is_read_only": False,
        "is_shareable": False,
        "boot_index": None,
        "capacity_bytes": 1024**3,
        "allocation_bytes": 4096,
        **fields,
    }
    return DiskInfo(device_name=device_name, **values)
