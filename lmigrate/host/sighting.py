"""What libvirt says of a domain, as the row that keeps it.  Pure."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime
from typing import Any

from lmigrate.db.models import DomainSighting
from lmigrate.db.stores.sightings import HAS_RUN, has_run
from lmigrate.states import PowerState
from lmigrate.virt.types import DiskInfo, DomainInfo

#: key in the description: a remark on this copy beside the others, for whoever looks at the sightings
NOTE = "note"

#: what the columns hold; libvirt itself allows more
_NAME_LENGTH, _REASON_LENGTH = 255, 32
_DISK_TEXT_LENGTHS = {
    "device_name": 32,
    "device_type": 16,
    "bus": 16,
    "source_type": 16,
    "format": 16,
    "serial": 64,
    "protocol": 16,
    "source_name": 255,
}


def sighting_of(host: str, info: DomainInfo, looked_at: datetime, previous: DomainSighting | None = None) -> DomainSighting:
    """The row for a domain that ``host`` had when it was looked at; ``previous``: what it had before."""
    is_running = info.power_state in {PowerState.RUNNING, PowerState.BLOCKED}
    return DomainSighting(
        host=host,
        instance_uuid=info.uuid,
        name=info.name[:_NAME_LENGTH],
        power_state=info.power_state,
        reason=info.reason[:_REASON_LENGTH],
        is_persistent=info.is_persistent,
        cpu_xml=info.cpu_xml,
        description={**_description(info), HAS_RUN: is_running or has_run(previous, info.migration_mark)},
        seen_at=looked_at,
    )


def is_same(one: DomainSighting, other: DomainSighting) -> bool:
    """Whether two rows say the same, whenever it was seen."""
    return _content(one) == _content(other)


def disk_values(disk: dict[str, Any]) -> dict[str, Any]:
    """Columns of a block device mapping, from one of the description's disks."""
    is_remote = disk["source_type"] == "network" or disk["source_name"] is not None
    texts = {name: disk[name] and str(disk[name])[:length] for name, length in _DISK_TEXT_LENGTHS.items()}
    return {**disk, **texts, "destination_type": "volume" if is_remote else "local"}


def _description(info: DomainInfo) -> dict[str, Any]:
    return {
        "memory_mib": info.memory_mib,
        "vcpus": info.vcpus,
        "virt_type": info.virt_type,
        "migration_mark": info.migration_mark,
        "disks": [asdict(disk) for disk in _distinct(info.disks)],
    }


def _distinct(disks: tuple[DiskInfo, ...]) -> list[DiskInfo]:
    return list({disk.device_name: disk for disk in disks}.values())


def _content(row: DomainSighting) -> tuple[object, ...]:
    description = {name: value for name, value in row.description.items() if name != NOTE}
    return row.name, row.power_state, row.reason, row.is_persistent, row.cpu_xml, description
