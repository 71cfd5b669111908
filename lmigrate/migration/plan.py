"""What a live migration would do, said beforehand from the records: nothing is written, reserved or sent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from lmigrate.config import settings
from lmigrate.db.models import BlockDeviceMapping, Host, Volume
from lmigrate.db.session import Session, reading
from lmigrate.db.stores import hosts, servers_view, volumes
from lmigrate.db.stores.servers_view import ServerRecord
from lmigrate.errors import InstanceInvalidState
from lmigrate.migration.idleness import ACTION, HELD, why_not_idle
from lmigrate.migration.request import LiveMigrationRequest, migration_for
from lmigrate.migration.source_survey import may_be_medium, why_disk_stays, why_unregistered
from lmigrate.migration.steps.check_destination import missing_tls
from lmigrate.migration.steps.select_destination import dead_source
from lmigrate.scheduler.choose import foresee
from lmigrate.scheduler.select import Outlook
from lmigrate.scheduler.snapshot import request_spec

#: what only the hosts can tell, and is asked there before anything is changed
ALWAYS_ASKED = (
    "whether the destination's CPU can run the guest",
    "whether the destination has a domain of that name or UUID",
    "whether the guest's domain holds what binds it to its host (devices, snapshots, jobs of libvirt), or arrived paused and was never run",
    "whether the destination has the files and secrets that the guest needs (kernel, firmware, read-only media, encryption)",
)
ASKED_OF_FILES = (
    "whether the destination shares the directories of local disks: those that it does not are copied",
    "whether what is copied fits on the destination, and meets no leftover there",
)
ASKED_OF_VOLUMES = ("whether the storage gives the destination access to the volumes, and the destination reaches them",)


@dataclass(frozen=True)
class PlannedDisk:
    """A disk, and what becomes of it."""

    row: BlockDeviceMapping
    volume: Volume | None  # registered
    is_copied: bool | None  # None: if the destination does not share its directory

    @property
    def size_bytes(self) -> int | None:
        """What the guest sees."""
        return self.row.capacity_bytes if self.volume is None else self.volume.size_bytes


@dataclass(frozen=True)
class Plan:
    """What the records say of a migration that was not asked for."""

    record: ServerRecord
    obstacles: tuple[str, ...]  # none: the guest could leave
    destinations: tuple[Outlook, ...]  # those that can take it first, best first
    disks: tuple[PlannedDisk, ...]
    not_checked: tuple[str, ...]


def plan_migration(server_uuid: str, host: str | None) -> Plan:
    """What a request to move ``server_uuid`` to ``host`` (None: the scheduler chooses) would meet.

    Raises:
        InstanceNotFound, UnknownHost: there is nothing to plan.
    """
    with reading() as session:
        record = servers_view.one(session, server_uuid)
        attached = volumes.of_instance(session, record.instance.uuid, record.instance.host or "")
        known = {disk.device_name: disk.volume for disk in attached}
        return Plan(
            record=record,
            obstacles=(*_states(session, record), *_disks_that_stay(record.disks, known)),
            destinations=tuple(_destinations(session, record, host)),
            disks=tuple(_disks(session, record, known)),
            not_checked=_not_checked(record.disks),
        )


def _states(session: Session, record: ServerRecord) -> list[str]:
    """Why a request would be refused, or fail because of its source."""
    instance, found = record.instance, [str(error) for error in why_not_idle(record.instance)]
    if record.migration is not None and instance.task_state is None:
        found.append(str(InstanceInvalidState(action=ACTION, instance=instance.uuid, attribute="state", state=HELD)))
    if instance.host is None:
        return found
    source = hosts.by_name(session, instance.host)
    dead = dead_source(session, instance.host, settings().scheduler.service_down_time_s)
    tls = None if source is None or not settings().migration.tls else missing_tls(source)
    return [*found, *(str(error) for error in (dead, tls) if error is not None)]


def _disks_that_stay(rows: Sequence[BlockDeviceMapping], known: Mapping[str, Volume]) -> list[str]:
    """A local disk counts as shared here: whether it is, the hosts find out."""
    devices = {row.device_name for row in rows}
    unregistered = [why_unregistered(row) for row in rows if row.source_type == "network" and row.device_name not in known]
    reasons = {row.device_name: why_disk_stays(row, devices, known) for row in rows}
    return [*(f"disk {device} {reason}" for device, reason in reasons.items() if reason is not None), *unregistered]


def _destinations(session: Session, record: ServerRecord, host: str | None) -> list[Outlook]:
    """As the scheduler judges hosts; those without TLS count as such that have refused, as they would."""
    asked = LiveMigrationRequest(record.instance.uuid, host, block_migration=None, disk_over_commit=None, is_forced=False)
    spec = request_spec(session, migration_for(asked, record.instance), record.instance)
    return foresee(session, replace(spec, excluded=_without_tls(hosts.all_hosts(session))))


def _without_tls(rows: Sequence[Host]) -> dict[str, str]:
    if not settings().migration.tls:
        return {}
    return {row.name: str(error) for row in rows if (error := missing_tls(row)) is not None}


def _disks(session: Session, record: ServerRecord, known: Mapping[str, Volume]) -> list[PlannedDisk]:
    source = None if record.instance.host is None else hosts.by_name(session, record.instance.host)
    directory = None if source is None else Path(source.instances_path) / record.instance.uuid
    return [_disk(row, known.get(row.device_name), directory) for row in record.disks]


def _disk(row: BlockDeviceMapping, volume: Volume | None, directory: Path | None) -> PlannedDisk:
    return PlannedDisk(row, volume, is_copied=None if _may_be_copied(row, volume, directory) else False)


def _may_be_copied(row: BlockDeviceMapping, volume: Volume | None, directory: Path | None) -> bool:
    """Files are, where they are not shared; of volumes only those of a `local` backend, of read-only ones the guest's own media."""
    if row.source_type != "file":
        return False
    if row.is_read_only:
        return directory is not None and may_be_medium(row, directory)
    backend = None if volume is None else settings().storage.backends.get(volume.backend)
    return volume is None or (backend is not None and backend.driver == "local")


def _not_checked(rows: Sequence[BlockDeviceMapping]) -> tuple[str, ...]:
    of_files = ASKED_OF_FILES if any(row.source_type == "file" for row in rows) else ()
    of_volumes = ASKED_OF_VOLUMES if any(row.volume_uuid is not None for row in rows) else ()
    return (*ALWAYS_ASKED, *of_files, *of_volumes)
