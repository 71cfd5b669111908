"""One host's daemon in parts, on a fake libvirtd."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lmigrate import clock
from lmigrate.config import HostSettings, SchedulerSettings, Settings
from lmigrate.db.models import BlockDeviceMapping, DomainSighting, Host, Instance
from lmigrate.db.session import reading
from lmigrate.host.disk_watch import DiskWatch
from lmigrate.host.heartbeat import Heartbeat
from lmigrate.host.inventory import Inventory
from lmigrate.host.registration import Registration
from lmigrate.ids import new_uuid
from tests.fakes.small_hypervisor import SmallHypervisor


@dataclass
class Node:
    """A host with its daemon's parts; nothing runs by itself."""

    name: str
    settings: Settings
    hypervisor: SmallHypervisor
    disk: DiskWatch
    registration: Registration
    heartbeat: Heartbeat
    inventory: Inventory


def node(name: str, instances_path: Path, hypervisor: SmallHypervisor | None = None, **options: Any) -> Node:
    """A host that has not registered yet."""
    hypervisor = hypervisor or SmallHypervisor(hostname=name)
    host = HostSettings(name=name, instances_path=instances_path, pki_dir=instances_path / "pki", **options)
    settings = Settings(host=host, scheduler=SchedulerSettings(service_down_time_s=60))
    disk = DiskWatch(instances_path, 10)
    disk.measure()
    epoch = new_uuid()
    return Node(
        name=name,
        settings=settings,
        hypervisor=hypervisor,
        disk=disk,
        registration=Registration(settings, hypervisor.as_hypervisor(), disk, epoch),
        heartbeat=Heartbeat(settings, hypervisor.as_hypervisor(), disk, epoch),
        inventory=Inventory(name, hypervisor.as_hypervisor(), settings.scheduler.service_down_time_s),
    )


def host_record(name: str) -> Host:
    """The host's row as it is now."""
    with reading() as session:
        return session.query(Host).filter_by(name=name).one()


def instance_record(uuid: str) -> Instance | None:
    """The instance's row as it is now, or None."""
    with reading() as session:
        return session.get(Instance, uuid)


def sighting_records(uuid: str) -> dict[str, DomainSighting]:
    """Sightings of a guest, by host."""
    with reading() as session:
        return {row.host: row for row in session.query(DomainSighting).filter_by(instance_uuid=uuid)}


def disk_records(uuid: str) -> dict[str, BlockDeviceMapping]:
    """Disks of a guest, by device."""
    with reading() as session:
        return {row.device_name: row for row in session.query(BlockDeviceMapping).filter_by(instance_uuid=uuid)}


def until(condition: Callable[[], bool], deadline_s: float = 20.0) -> None:
    """Wait until ``condition()`` is true."""
    end_s = clock.monotonic_s() + deadline_s
    while not condition():
        assert clock.monotonic_s() < end_s, "it did not come true in time"
        clock.sleep_s(0.02)
