"""Move the guest."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field, replace

import structlog

from lmigrate.db.models import Migration
from lmigrate.db.session import reading
from lmigrate.db.stores import hosts, observations
from lmigrate.errors import DomainNotFound, HypervisorError, MigrationAborted, MigrationFailed, OutcomeUnknown, UnknownHost
from lmigrate.log import carried
from lmigrate.migration import peer_uri
from lmigrate.migration.connections import connections_of
from lmigrate.migration.convergence import data_gib
from lmigrate.migration.guest_lock import guest_lock
from lmigrate.migration.look import look
from lmigrate.migration.monitor import Monitor
from lmigrate.migration.post_copy import Recovery
from lmigrate.migration.steps.base import Facts, Side, Step, StepContext, running_status
from lmigrate.migration.verdict import Seen
from lmigrate.states import HoldReason, MigrationStatus, PowerState
from lmigrate.storage import disk_image
from lmigrate.virt.types import MigrateSpec
from lmigrate.virt.xml.destination import DestinationChanges, destination_xml
from lmigrate.virt.xml.volume import VolumeSource

log = structlog.get_logger(__name__)


class Migrate(Step):
    """Let the source's libvirtd move the guest, watch it, and say what the source looks like afterwards.

    Do:        under the guest's lock look at libvirt: a job that is already running is watched, a guest that is at
               home is moved by a peer-to-peer migrateToURI3; a post-copy that breaks is resumed until it is through.
    Undo:      cancel a job that still runs; let the guest run again if the move had stopped it. Never after post-copy has begun.
    If killed: libvirtd goes on by itself; the next worker finds the job, or half a guest, and sees to it until its end.
    Because:   the call's result proves nothing: the next step asks the destination and decides.
    """

    name = "migrate"
    side = Side.SOURCE
    status = MigrationStatus.RUNNING
    is_long = True
    honours_abort = True

    def status_of(self, migration: Migration) -> MigrationStatus:
        """Also of one that is adopted."""
        return running_status(migration)

    def do(self, context: StepContext) -> Facts:
        """Facts: source (what it looks like now), call_error, is_adopted, is_paused_by_us, may_post_copy, had_autostart, inodes.

        Raises:
            PostCopyBroken: post-copy has stood still for too long; both copies are kept.
        """
        with guest_lock(context.settings.host.state_dir, context.instance.uuid):
            before = _look(context)
            _refuse_foreign_move(context, before)
            kept = _prepare(context, before)
            monitor = Monitor(context, _size_gib(context), was_paused=bool(kept.get("is_paused_by_us")))
            monitor.is_post_copy_possible = bool(kept.get("may_post_copy"))
            error = self._move(context, before, monitor)
            after = _look(context)
            if after.is_post_copy:
                after = Recovery(monitor.post_copy, monitor.store, lambda: _resume(context, monitor)).run()
        if after.is_active and not after.is_job_active and after.reason != "migration":
            raise _failure(context, monitor, error)
        seen = {"source": after.as_facts(), "call_error": error, "is_adopted": before.is_job_active}
        return {**kept, **seen, "is_paused_by_us": monitor.was_paused}

    def undo(self, context: StepContext, facts: Facts | None) -> None:
        """The guest stays where it is, running and starting as it did before."""
        if not has_begun(facts):
            return  # a job or a pause that is there is somebody else's
        hypervisor, uuid = context.hypervisor, context.instance.uuid
        known = facts or {}
        seen = _look(context)
        if seen.is_post_copy:
            raise OutcomeUnknown(reason=f"post-copy has begun ({seen}): neither copy is whole alone, so that there is no way back")
        if seen.is_job_active:
            hypervisor.abort_job(uuid)
            Monitor(context, 0).run(is_over=lambda: not hypervisor.job(uuid).is_migration)
            seen = _look(context)
        is_stopped_by_move = seen.reason == "migration" or bool(known.get("is_paused_by_us"))
        is_to_run = context.migration.power_state_before is not PowerState.PAUSED
        if seen.power_state is PowerState.PAUSED and is_stopped_by_move and is_to_run:
            _refuse_second_copy(context)
            context.check_claim()
            hypervisor.free_failed_move(uuid)  # or libvirt may not let it be resumed
            hypervisor.resume(uuid)
        if known.get("had_autostart") and seen.exists:
            hypervisor.set_autostart(uuid, is_on=True)

    def _move(self, context: StepContext, before: Seen, monitor: Monitor) -> str | None:
        """The text of what libvirt raised, for people; None if it raised nothing."""
        if before.is_job_active:
            log.info("found the migration running; watching it")
            monitor.run(is_over=lambda: _is_over(context))
            return None
        if before.is_post_copy:
            return None
        if not before.is_active:
            return f"the guest is not running on the source: {before}"
        if _may_have_left(before, context.facts.get("migrate", {})):
            return f"an earlier try was broken off when the guest stood still for its switchover: {before}"
        if context.is_abort_requested():
            raise MigrationAborted
        call = _Call(context, _spec(context, may_post_copy=monitor.is_post_copy_possible))
        context.check_claim()
        call.start()
        monitor.run(over=call.over)
        return call.error


def _look(context: StepContext) -> Seen:
    return look(context.hypervisor, context.instance.uuid, context.uuid)


def has_begun(facts: Facts | None) -> bool:
    """Whether the move may have been begun: what has to be known afterwards is journalled just before."""
    return "inodes" in (facts or {})


def _refuse_foreign_move(context: StepContext, before: Seen) -> None:
    """A job is ours to watch only if we have begun one.

    Raises:
        MigrationFailed: somebody moves the guest by hand.
    """
    if (before.is_job_active or before.is_post_copy) and not has_begun(context.facts.get("migrate")):
        raise MigrationFailed(reason=f"the guest is being migrated by somebody else's hand ({before})")


def _may_have_left(before: Seen, kept: Facts) -> bool:
    """Whether an earlier try stopped the guest and may have handed it over: the destination may have run it since.

    Moved once more, its memory and disks of then would go over newer ones.  Both hosts have to be asked first.
    """
    is_stopped_by_move = before.reason == "migration" or bool(kept.get("is_paused_by_us"))
    return bool(kept) and before.power_state is PowerState.PAUSED and is_stopped_by_move


def _is_over(context: StepContext) -> bool:
    """Whether a job that nobody has a call for has ended, or broken."""
    seen = _look(context)
    return not seen.is_job_active or (seen.is_post_copy and seen.reason != "postcopy")


def _resume(context: StepContext, monitor: Monitor) -> str | None:
    """Make libvirt try again over a new connection; the text of what it raised when the call is over."""
    call = _Call(context, replace(_spec(context, may_post_copy=True), is_resume=True, migrate_disks=()))
    call.start()
    monitor.run(over=call.over)
    return call.error


def _prepare(context: StepContext, before: Seen) -> Facts:
    """What has to be known afterwards, whoever does it: journalled before the move.

    The source's definition outlives the move until the destination is proven; it must not start
    by itself in that time, when the source host is booted.
    """
    kept: Facts = dict(context.facts.get("migrate", {}))
    if before.is_job_active or before.is_post_copy or not before.is_active or has_begun(kept):
        return kept
    hypervisor, uuid = context.hypervisor, context.instance.uuid
    kept["may_post_copy"] = _may_post_copy(context)
    kept["had_autostart"] = before.is_persistent and hypervisor.autostart(uuid)
    kept["inodes"] = {disk.path: disk_image.identify(disk.path).inode for disk in context.data.copied_disks}
    context.keep(kept)
    if kept["had_autostart"]:
        hypervisor.set_autostart(uuid, is_on=False)
    return kept


def _may_post_copy(context: StepContext) -> bool:
    """Whether the move is begun so that it can be switched; a guest that its owner has paused would be let run by the switch."""
    return context.settings.migration.permit_post_copy and context.migration.power_state_before is not PowerState.PAUSED


def _refuse_second_copy(context: StepContext) -> None:
    """The source's memory may run again only if the destination was seen with nothing that has run.

    Raises:
        OutcomeUnknown: the destination has a copy, or was not asked.
    """
    if context.migration.fenced_host == context.migration.dest_host:
        return  # it is off, an operator says: it runs nothing
    with reading() as session:
        facts = observations.latest(session, context.migration.id, Side.DESTINATION.value)
    seen = None if facts is None else Seen.from_facts(facts)
    if seen is None or (seen.exists and not seen.is_incoming):
        told = "was not asked" if seen is None else f"has it: {seen}"
        raise OutcomeUnknown(reason=f"the guest stands still on the source, and the destination {told}", hold=HoldReason.COPY_HAS_RUN)


@dataclass
class _Call:
    """The blocking libvirt call, in a thread of its own."""

    context: StepContext
    spec: MigrateSpec
    over: threading.Event = field(default_factory=threading.Event)
    error: str | None = None

    def start(self) -> None:
        """Begin; ``over`` is set at the end."""
        threading.Thread(target=carried(self._run), name="migrate", daemon=True).start()

    def _run(self) -> None:
        try:
            self.context.hypervisor.migrate(self.spec)
        except HypervisorError as error:
            self.error = str(error)
        except Exception as error:  # the verdict comes from both hosts, not from here; but say what it was
            log.exception("the migrate call broke")
            self.error = repr(error)
        finally:
            self.over.set()


def _failure(context: StepContext, monitor: Monitor, error: str | None) -> MigrationAborted | MigrationFailed:
    if monitor.aborted_because is not None and context.is_abort_requested():
        return MigrationAborted()
    reason = monitor.aborted_because or error or "the job ended and the guest is still on the source"
    return MigrationFailed(reason=reason)


def _size_gib(context: StepContext) -> float:
    return data_gib(context.instance.memory_mib, [disk.capacity_bytes for disk in context.data.copied_disks])


def _spec(context: StepContext, *, may_post_copy: bool = False) -> MigrateSpec:
    options, data = context.settings.migration, context.data
    host, address = _destination(context)
    changes = _changes(context)
    hypervisor, uuid = context.hypervisor, context.instance.uuid
    domain = hypervisor.domain(uuid)
    if domain is None:
        raise DomainNotFound(uuid=uuid, host=context.settings.host.name)
    return MigrateSpec(
        uuid=uuid,
        dest_uri=peer_uri.libvirt_uri(host, address, tls=options.tls),
        migrate_uri=peer_uri.qemu_uri(host, address),
        destination_xml=destination_xml(hypervisor.domain_xml(uuid), changes),
        persistent_xml=destination_xml(hypervisor.domain_xml(uuid, is_inactive=True), changes) if data.is_persistent else None,
        migrate_disks=tuple(disk.device_name for disk in data.copied_disks),
        copy_mode=context.facts["pre_live_migration"]["copy_mode"],
        tls=options.tls,
        is_storage_proven_shared=data.accounts_for(domain.disks),
        auto_converge=options.auto_converge,
        post_copy=may_post_copy,
        bandwidth_mib_s=options.bandwidth_mib_s,
        post_copy_bandwidth_mib_s=options.post_copy_bandwidth_mib_s,
    )


def _destination(context: StepContext) -> tuple[str, str]:
    """The destination's name and address."""
    name = context.migration.dest_host or ""
    with reading() as session:
        host = hosts.by_name(session, name)
        if host is None:
            raise UnknownHost(host=name)
        return name, host.migration_address


def _changes(context: StepContext) -> DestinationChanges:
    data, prepared = context.data, context.facts["pre_live_migration"]
    copied = frozenset(disk.device_name for disk in data.copied_disks)
    return DestinationChanges(
        migration_uuid=context.uuid,
        source_directory=data.source_instances_path,
        destination_directory=data.destination_instances_path,
        copied_disks=copied,
        disk_formats={disk.device_name: disk.format for disk in data.copied_disks},
        graphics_listen=prepared["graphics_listen"],
        volumes=_volume_sources(context, copied),
    )


def _volume_sources(context: StepContext, copied: frozenset[str]) -> dict[str, VolumeSource]:
    """How the destination opens each volume, by device; one that is copied (driver local) lies where its copy was made."""
    devices = context.facts["pre_live_migration"]["devices"]
    found = {connection.device_name: connection.source for connection in connections_of(context)}
    found |= {name: VolumeSource(protocol="block", name=path, hosts=()) for name, path in devices.items()}
    return {name: source for name, source in found.items() if name not in copied}
