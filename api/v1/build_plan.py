"""From a plan to ``/v1``."""

from __future__ import annotations

from api.v1.schemas.plans import Plan, PlannedDestination, PlannedDisk
from lmigrate.migration import plan as planned


def plan(found: planned.Plan) -> Plan:
    """What a migration would do."""
    return Plan(
        server=found.record.instance.uuid,
        name=found.record.instance.name,
        source_host=found.record.instance.host,
        is_migratable=not found.obstacles,
        obstacles=list(found.obstacles),
        destinations=[PlannedDestination(host=one.host, is_fit=not one.reasons, reasons=list(one.reasons)) for one in found.destinations],
        disks=[_disk(disk) for disk in found.disks],
        not_checked=list(found.not_checked),
    )


def _disk(disk: planned.PlannedDisk) -> PlannedDisk:
    same = {name: getattr(disk.row, name) for name in ("source_type", "destination_type", "path", "source_name")}
    volume = disk.volume
    return PlannedDisk(
        **same,
        device=disk.row.device_name,
        volume=None if volume is None else volume.name,
        backend=None if volume is None else volume.backend,
        is_copied=disk.is_copied,
        size_bytes=disk.size_bytes,
    )
