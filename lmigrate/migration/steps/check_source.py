"""Can the guest leave, and what must move with it?  Asked on the source, before anything is changed."""

from __future__ import annotations

from pathlib import Path

from lmigrate.db.clock import utcnow
from lmigrate.db.models import Migration
from lmigrate.db.session import Session, reading
from lmigrate.db.stores import sightings
from lmigrate.db.stores.sightings import has_run
from lmigrate.errors import (
    DestinationDiskExists,
    DestinationDiskTooSmall,
    InstanceInvalidState,
    InvalidLocalStorage,
    InvalidSharedStorage,
    MigrationPreCheckError,
    NotMigratable,
)
from lmigrate.migration.migrate_data import LocalDisk, Medium, MigrateData
from lmigrate.migration.source_survey import Survey, survey
from lmigrate.migration.steps.base import Facts, Side, Step, StepContext
from lmigrate.migration.storage_decision import decide_block_migration
from lmigrate.states import MigrationStatus, PowerState
from lmigrate.storage import directories
from lmigrate.virt.types import DomainInfo


class CheckSource(Step):
    """Look at the guest, its disks and the destination's probes; decide whether disks are copied.

    Do:        read only.
    Undo:      nothing was made.
    If killed: nothing was made.
    Because:   everything that can be refused is refused here, with all reasons at once, while the guest is untouched.
    """

    name = "check_source"
    side = Side.SOURCE
    status = MigrationStatus.ACCEPTED

    def do(self, context: StepContext) -> Facts:
        """Facts: migrate_data, power_state."""
        directories.require_answer(context.settings.host)
        domain = self._domain(context)
        found = survey(context, domain)
        self._refuse_obstacles(context, domain, found)
        data = self._migrate_data(context, domain, found)
        self._refuse_leftover(context, data)
        if data.disk_needed_bytes > data.disk_available_bytes:
            raise DestinationDiskTooSmall(
                instance=context.instance.uuid,
                available=data.disk_available_bytes,
                need=data.disk_needed_bytes,
            )
        return {"migrate_data": data.model_dump(), "power_state": domain.power_state.value}

    def on_done(self, session: Session, migration: Migration, facts: Facts) -> None:
        """The checks of this attempt are through."""
        del session
        migration.migrate_data = facts["migrate_data"]
        migration.power_state_before = PowerState(facts["power_state"])  # the owner may have paused it since the request
        migration.prechecked_at = utcnow()
        migration.status = MigrationStatus.QUEUED

    def _domain(self, context: StepContext) -> DomainInfo:
        domain = context.hypervisor.domain(context.instance.uuid)
        state = PowerState.NOSTATE if domain is None else domain.power_state
        if domain is None or state not in {PowerState.RUNNING, PowerState.BLOCKED, PowerState.PAUSED}:
            raise InstanceInvalidState(action="os-migrateLive", instance=context.instance.uuid, attribute="power_state", state=state.value)
        return domain

    def _refuse_obstacles(self, context: StepContext, domain: DomainInfo, found: Survey) -> None:
        job = context.hypervisor.job(context.instance.uuid)  # first, so that a backup is named below by whichever sees it
        reasons = [*found.obstacles, *context.hypervisor.interlocks(context.instance.uuid)]
        if _has_disks_not_taken(context, domain):
            host = context.settings.host.name
            reasons.append(f"it arrived paused and has not been seen running on {host} since, so that QEMU would abort: let it run first")
        if job.is_active and job.operation != "backup":
            reasons.append(f"libvirt is at work on it ({job.operation}): wait for that to end")
        if reasons:
            raise NotMigratable(instance=context.instance.uuid, reasons="; ".join(reasons))

    def _migrate_data(self, context: StepContext, domain: DomainInfo, found: Survey) -> MigrateData:
        asked = context.migration
        is_shared = all(disk.is_shared for disk in found.disks)
        is_block_migration = _is_block_migration(asked, is_on_shared_storage=is_shared)
        destination = context.facts["check_destination"]
        disks = [disk.model_copy(update={"is_copied": is_block_migration and not disk.is_shared}) for disk in found.disks]
        return MigrateData(
            is_volume_backed=found.is_volume_backed,
            is_shared_instance_path=found.is_shared_instance_path,
            is_shared_block_storage=is_shared,
            block_migration=is_block_migration,
            source_instances_path=str(context.settings.host.instances_path),
            destination_instances_path=destination["instances_path"],
            disk_available_bytes=destination["disk_available_bytes"],
            disk_needed_bytes=_needed_bytes(disks, found.media, is_over_commit=bool(asked.disk_over_commit)),
            disks=disks,
            volumes=found.volumes,
            media=found.media,
            needed_files=found.needed_files,
            needed_secrets=found.needed_secrets,
            is_persistent=domain.is_persistent,
            removable_files=found.removable_files,
        )

    def _refuse_leftover(self, context: StepContext, data: MigrateData) -> None:
        if not data.is_shared_instance_path and context.facts["check_destination"]["directory_exists"]:
            path = Path(data.destination_instances_path) / context.instance.uuid
            raise DestinationDiskExists(path=path, host=context.migration.dest_host)


def _has_disks_not_taken(context: StepContext, domain: DomainInfo) -> bool:
    """Whether QEMU may not have taken the disks of a guest that arrived paused: it does so when the guest is let run.

    Moving it on is giving up disks that it does not hold, and QEMU before 10.0 aborts on that
    (bdrv_inactivate_recurse; seen with 7.2): the guest would be lost.
    """
    if domain.power_state is not PowerState.PAUSED or domain.migration_mark is None or not domain.disks:
        return False
    with reading() as session:
        return not has_run(sightings.get(session, context.settings.host.name, domain.uuid), domain.migration_mark)


def _is_block_migration(asked: Migration, *, is_on_shared_storage: bool) -> bool:
    """What is shared is a property of two hosts: who named none may be served by the next one, as in Nova."""
    try:
        return decide_block_migration(asked.block_migration, is_on_shared_storage=is_on_shared_storage, source_host=asked.source_host)
    except (InvalidLocalStorage, InvalidSharedStorage) as error:
        if asked.requested_destination is not None:
            raise
        raise MigrationPreCheckError(reason=error) from error


def _needed_bytes(disks: list[LocalDisk], media: list[Medium], *, is_over_commit: bool) -> int:
    """Nova: allocated size when over-commit is allowed, else what the guest may come to fill."""
    copied = sum(disk.allocation_bytes if is_over_commit else disk.capacity_bytes for disk in disks if disk.is_copied)
    return copied + sum(medium.size_bytes for medium in media)
