"""The real hypervisor: one host's libvirtd."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import libvirt
import structlog

from lmigrate.errors import DomainNotFound, HypervisorError, HypervisorTimeout, HypervisorUnavailable
from lmigrate.states import PowerState
from lmigrate.virt import capabilities, names, stuck_move
from lmigrate.virt.connection import Connection, translated
from lmigrate.virt.flags import migrate_flags, migrate_params
from lmigrate.virt.interlocks import interlocks
from lmigrate.virt.jobstats import from_libvirt
from lmigrate.virt.remote_disk import read_disk
from lmigrate.virt.types import DiskInfo, DomainInfo, HostFacts, JobStats, JobType, MigrateSpec, Secret
from lmigrate.virt.xml import domain as domain_xml
from lmigrate.virt.xml.document import mark_of, parse
from lmigrate.virt.xml.volume import secret_xml

T = TypeVar("T")
log = structlog.get_logger(__name__)

_NO_DOMAIN = libvirt.VIR_ERR_NO_DOMAIN
_NOT_RUNNING = libvirt.VIR_ERR_OPERATION_INVALID

#: a lookup that finds nothing may mean that libvirt has only just changed its mind about the job
_NO_JOB = {libvirt.VIR_ERR_OPERATION_INVALID, libvirt.VIR_ERR_NO_DOMAIN}

#: Reasons of a domain that waits for its memory, or is being left.  While the memory comes, libvirt lets nobody ask for the size
#: of its disks: the call waits for half a minute, and the host would seem to hang for as long as the longest copy.
_ON_THE_WAY = {"migration", "starting-up", "postcopy", "postcopy-failed"}


class LibvirtHypervisor:
    """`Hypervisor` over libvirt-python.  Threads may share one."""

    def __init__(self, uri: str, host: str, deadline_s: float) -> None:
        self._host = host
        self._deadline_s = deadline_s
        self._connection = Connection(uri, host, deadline_s)

    def ping(self) -> None:
        """Ask libvirtd for its version: a full round trip, no work."""
        self._call("getLibVersion", lambda connection: connection.getLibVersion())

    def facts(self) -> HostFacts:
        """Ask for capabilities; takes seconds when libvirtd's cache of QEMU's capabilities is cold."""
        return self._call("capabilities", capabilities.read_facts, deadline_s=60.0)

    def domains(self) -> list[DomainInfo]:
        """Every domain; one that vanishes while we look is left out."""
        uuids = self._call("listAllDomains", lambda connection: [dom.UUIDString() for dom in connection.listAllDomains()])
        found = (self.domain(uuid) for uuid in uuids)
        return [info for info in found if info is not None]

    def domain(self, uuid: str) -> DomainInfo | None:
        """State, reason and description of one domain."""
        try:
            return self._with_domain("domain", uuid, _describe)
        except DomainNotFound:
            return None

    def domain_xml(self, uuid: str, *, is_inactive: bool = False) -> str:
        """XML as libvirt wants it back for a migration."""
        flags = libvirt.VIR_DOMAIN_XML_MIGRATABLE | (libvirt.VIR_DOMAIN_XML_INACTIVE if is_inactive else 0)
        # CHAP and VNC secrets come along only with SECURE, and are needed: the destination starts from this text.
        return self._with_domain("XMLDesc", uuid, lambda dom: dom.XMLDesc(flags | libvirt.VIR_DOMAIN_XML_SECURE))

    def compare_cpu(self, cpu_xml: str, virt_type: str) -> str | None:
        """compareHypervisorCPU; "cannot tell" (NO_SUPPORT) counts as yes, as in Nova."""
        return self._call("compareHypervisorCPU", lambda connection: capabilities.compare_cpu(connection, cpu_xml, virt_type))

    def interlocks(self, uuid: str) -> list[str]:
        """blockJobInfo of each disk, the backup, and the number of snapshots."""
        return self._with_domain("blockJobInfo", uuid, interlocks)

    def read_disk(self, uri: str, uuid: str, device_name: str, size_bytes: int) -> Iterator[bytes]:
        """virDomainBlockPeek, over a connection of its own."""
        return read_disk(uri, uuid, device_name, size_bytes, self._deadline_s)

    def migrate(self, spec: MigrateSpec) -> None:
        """Peer-to-peer migrateToURI3: blocks for as long as the move takes; no deadline, no second try."""
        flags, params = migrate_flags(spec), migrate_params(spec)

        def move(connection: libvirt.virConnect) -> None:
            connection.lookupByUUIDString(spec.uuid).migrateToURI3(spec.dest_uri, params, flags)

        try:
            self._connection.call_alone(move)
        except libvirt.libvirtError as error:
            raise self._translated(error, spec.uuid) from error

    def job(self, uuid: str) -> JobStats:
        """Statistics of the running job; NONE when there is no job or no running domain."""
        try:
            return self._with_domain("jobStats", uuid, lambda dom: _job_stats(dom, 0))
        except DomainNotFound:
            return JobStats(JobType.NONE)

    def completed_job(self, uuid: str) -> JobStats | None:
        """Statistics of the completed job, measured downtime included."""
        flags = libvirt.VIR_DOMAIN_JOB_STATS_COMPLETED | libvirt.VIR_DOMAIN_JOB_STATS_KEEP_COMPLETED
        stats = self._with_domain("jobStats", uuid, lambda dom: _job_stats(dom, flags))
        return stats if stats.type is JobType.COMPLETED else None

    def abort_job(self, uuid: str) -> None:
        """virDomainAbortJob; nothing to abort is fine, a post-copy is not."""
        self._with_domain("abortJob", uuid, _abort)

    def free_failed_move(self, uuid: str) -> list[str]:
        """By QEMU's monitor; see `stuck_move`."""
        return list(self._with_domain("qemuMonitorCommand", uuid, stuck_move.free))

    def has_sent_memory(self, uuid: str) -> bool:
        """By QEMU's monitor: its migration is completed."""
        try:
            return bool(self._with_domain("qemuMonitorCommand", uuid, stuck_move.has_sent_memory))
        except DomainNotFound:
            return False

    def start_post_copy(self, uuid: str) -> None:
        """virDomainMigrateStartPostCopy."""
        self._with_domain("migrateStartPostCopy", uuid, lambda dom: dom.migrateStartPostCopy())

    def break_post_copy(self, uuid: str) -> None:
        """virDomainAbortJobFlags with VIR_DOMAIN_ABORT_JOB_POSTCOPY: QEMU's migrate-pause."""
        self._with_domain("abortJobFlags", uuid, lambda dom: dom.abortJobFlags(libvirt.VIR_DOMAIN_ABORT_JOB_POSTCOPY))

    def set_max_downtime_ms(self, uuid: str, downtime_ms: int) -> None:
        """virDomainMigrateSetMaxDowntime."""
        self._with_domain("migrateSetMaxDowntime", uuid, lambda dom: dom.migrateSetMaxDowntime(downtime_ms))

    def pause(self, uuid: str) -> None:
        """virDomainSuspend."""
        self._with_domain("suspend", uuid, lambda dom: dom.suspend())

    def resume(self, uuid: str) -> None:
        """virDomainResume."""
        self._with_domain("resume", uuid, lambda dom: dom.resume())

    def autostart(self, uuid: str) -> bool:
        """virDomainGetAutostart."""
        return bool(self._with_domain("autostart", uuid, lambda dom: dom.autostart()))

    def set_autostart(self, uuid: str, *, is_on: bool) -> None:
        """virDomainSetAutostart."""
        self._with_domain("setAutostart", uuid, lambda dom: dom.setAutostart(int(is_on)))

    def define(self, xml: str) -> None:
        """virDomainDefineXML."""
        self._call("defineXML", lambda connection: connection.defineXML(xml))

    def undefine(self, uuid: str) -> None:
        """virDomainUndefineFlags, keeping the UEFI variables: they are removed with the guest's directory, or needed."""
        flags = libvirt.VIR_DOMAIN_UNDEFINE_KEEP_NVRAM | libvirt.VIR_DOMAIN_UNDEFINE_MANAGED_SAVE
        self._if_there("undefineFlags", uuid, lambda dom: _tolerating({_NO_DOMAIN}, lambda: dom.undefineFlags(flags)))

    def destroy(self, uuid: str) -> None:
        """virDomainDestroy; not running is fine, also if it ends by itself meanwhile."""
        self._if_there("destroy", uuid, _destroy)

    def define_secret(self, secret: Secret) -> None:
        """Ephemeral and private: it is in no file, and libvirt gives it to QEMU only."""
        xml = secret_xml(secret)
        self._call("secretDefineXML", lambda connection: connection.secretDefineXML(xml).setValue(secret.payload))

    def undefine_secret(self, uuid: str) -> None:
        """virSecretUndefine."""
        self._call(
            "secretUndefine",
            lambda connection: _tolerating({libvirt.VIR_ERR_NO_SECRET}, lambda: connection.secretLookupByUUIDString(uuid).undefine()),
        )

    def secrets(self) -> dict[str, str]:
        """listAllSecrets."""
        return self._call(
            "listAllSecrets", lambda connection: {secret.UUIDString(): secret.usageID() for secret in connection.listAllSecrets()}
        )

    def listen(self, changed: Callable[[str], None]) -> None:
        """Register for lifecycle and device events, also on connections opened later."""
        self._connection.when_open(lambda connection: _register(connection, changed))

    def close(self) -> None:
        """Let go of the connection."""
        self._connection.close()

    def _if_there(self, name: str, uuid: str, function: Callable[[libvirt.virDomain], T]) -> T | None:
        try:
            return self._with_domain(name, uuid, function)
        except DomainNotFound:
            return None

    def _with_domain(self, name: str, uuid: str, function: Callable[[libvirt.virDomain], T]) -> T:
        try:
            return self._connection.call(name, lambda connection: function(connection.lookupByUUIDString(uuid)))
        except libvirt.libvirtError as error:
            raise self._translated(error, uuid) from error

    def _translated(self, error: libvirt.libvirtError, uuid: str) -> HypervisorError:
        if error.get_error_code() == _NO_DOMAIN:
            return DomainNotFound(uuid=uuid, host=self._host)
        return translated(error, self._host)

    def _call(self, name: str, function: Callable[[libvirt.virConnect], T], deadline_s: float | None = None) -> T:
        try:
            return self._connection.call(name, function, deadline_s)
        except libvirt.libvirtError as error:
            raise translated(error, self._host) from error


def _describe(dom: libvirt.virDomain) -> DomainInfo:
    state, number = dom.state()
    power = names.power_state(state)
    reason = names.reason(power, number)
    root = parse(dom.XMLDesc(0))
    is_persistent = bool(dom.isPersistent())
    is_on_the_way = reason in _ON_THE_WAY or (power is PowerState.SHUTOFF and not is_persistent)
    return DomainInfo(
        uuid=dom.UUIDString(),
        name=dom.name(),
        power_state=power,
        reason=reason,
        is_persistent=is_persistent,
        memory_mib=domain_xml.memory_mib(root),
        vcpus=domain_xml.vcpus(root),
        virt_type=root.get("type", ""),
        cpu_xml=domain_xml.cpu_xml(root),
        disks=tuple(disk if is_on_the_way else _sized(dom, disk) for disk in domain_xml.disks(root)),
        migration_mark=mark_of(root),
    )


def _sized(dom: libvirt.virDomain, disk: DiskInfo) -> DiskInfo:
    if not disk.is_local_file:
        return disk
    try:
        capacity, allocation, _physical = dom.blockInfo(disk.device_name)
    except libvirt.libvirtError as error:
        log.debug("size of a disk is not known", domain=dom.name(), disk=disk.device_name, reason=str(error))
        return disk
    fields: dict[str, Any] = {**disk.__dict__, "capacity_bytes": capacity, "allocation_bytes": allocation}
    return DiskInfo(**fields)


def _job_stats(dom: libvirt.virDomain, flags: int) -> JobStats:
    try:
        fields = dom.jobStats(flags)
    except libvirt.libvirtError as error:
        # on the destination of a running migration there are no statistics; and the job may have only just begun
        if error.get_error_code() in {*_NO_JOB, libvirt.VIR_ERR_OPERATION_UNSUPPORTED} or "no RAM info was set" in str(error):
            return JobStats(JobType.NONE)
        raise
    job_type = names.JOB_TYPES.get(fields.get("type", 0), JobType.NONE)
    operation = names.operation(fields["operation"]) if "operation" in fields else None
    return from_libvirt(fields, job_type, operation)


def _abort(dom: libvirt.virDomain) -> None:
    """libvirt says with one and the same code that there is no job, and that it is too late."""
    try:
        dom.abortJob()
    except libvirt.libvirtError as error:
        state, number = dom.state()
        if error.get_error_code() not in _NO_JOB or names.reason(names.power_state(state), number).startswith("postcopy"):
            raise


def _destroy(domain: libvirt.virDomain) -> None:
    """A call that meets the guest's own end fails without an error's code: look what has become of it."""
    try:
        domain.destroy()
    except libvirt.libvirtError:
        if domain.isActive():
            raise


def _tolerating(codes: set[int], call: Callable[[], object]) -> None:
    try:
        call()
    except libvirt.libvirtError as error:
        if error.get_error_code() not in codes:
            raise


def _register(connection: libvirt.virConnect, changed: Callable[[str], None]) -> None:
    def on_event(_connection: libvirt.virConnect, dom: libvirt.virDomain, *_rest: object) -> None:
        changed(dom.UUIDString())

    for event in (
        libvirt.VIR_DOMAIN_EVENT_ID_LIFECYCLE,
        libvirt.VIR_DOMAIN_EVENT_ID_DEVICE_ADDED,
        libvirt.VIR_DOMAIN_EVENT_ID_DEVICE_REMOVED,
        libvirt.VIR_DOMAIN_EVENT_ID_DISK_CHANGE,
    ):
        connection.domainEventRegisterAny(None, event, on_event, None)


def is_no_answer(error: HypervisorError) -> bool:
    """Whether the host did not answer at all, so that nothing is known about it."""
    return isinstance(error, (HypervisorTimeout, HypervisorUnavailable))
