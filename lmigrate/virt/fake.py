"""The fake hypervisor: for unit, property and scale tests.  It passes the same conformance tests as the real one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

from lmigrate.errors import DomainNotFound, HypervisorError
from lmigrate.ids import new_uuid
from lmigrate.states import PowerState
from lmigrate.virt.fake_domain import NO_JOB, FakeDomain
from lmigrate.virt.fake_move import Move
from lmigrate.virt.fake_world import FakeHost, FakeWorld
from lmigrate.virt.types import DomainInfo, HostFacts, JobStats, MigrateSpec, Secret
from lmigrate.virt.xml.backup import backup_obstacle
from lmigrate.virt.xml.document import parse


class FakeHypervisor:
    """`Hypervisor` over one host of a FakeWorld.  Threads may share one."""

    def __init__(self, world: FakeWorld, host: str) -> None:
        self._world = world
        self._name = host

    def ping(self) -> None:
        """Raises when the host was told to hang or to be away."""
        self._host("ping")

    def facts(self) -> HostFacts:
        """A host of 4 GiB that can do KVM and TCG."""
        self._host("facts")
        return HostFacts(
            uuid=new_uuid(),
            hostname=self._name,
            hypervisor_type="QEMU",
            libvirt_version=9_000_000,
            qemu_version=7_002_000,
            virt_types=("kvm", "qemu"),
            arch="x86_64",
            vcpus=8,
            memory_mib=4096,
            cpu_model="Skylake-Client",
            cpu_vendor="Intel",
            cpu_features=(),
            usable_models=("qemu64",),
            cpu_xml=None,
        )

    def domains(self) -> list[DomainInfo]:
        """Every domain of the host."""
        with self._world.lock:
            return [domain.info() for domain in self._host("domains").domains.values()]

    def domain(self, uuid: str) -> DomainInfo | None:
        """One domain, or None."""
        with self._world.lock:
            found = self._host("domain").domains.get(uuid)
            return None if found is None else found.info()

    def domain_xml(self, uuid: str, *, is_inactive: bool = False) -> str:
        """The running domain's XML, or its definition's; a transient domain's own, as libvirt has it."""
        with self._world.lock:
            domain = self._domain("domain_xml", uuid)
            return (domain.inactive_xml or domain.xml) if is_inactive else domain.xml

    def compare_cpu(self, cpu_xml: str, virt_type: str) -> str | None:
        """What the test said of this host."""
        del cpu_xml
        return self._host("compare_cpu").unfit_cpu if virt_type == "kvm" else None

    def migrate(self, spec: MigrateSpec) -> None:
        """See `fake_move`."""
        Move(self._world, self._host("migrate"), spec).run()

    def interlocks(self, uuid: str) -> list[str]:
        """A backup; block jobs and snapshots are not kept here."""
        backup_xml = self._domain("blockJobInfo", uuid).backup_xml
        return [] if backup_xml is None else [backup_obstacle(backup_xml)]

    def read_disk(self, uri: str, uuid: str, device_name: str, size_bytes: int) -> Iterator[bytes]:
        """The file itself: all hosts of a world are one machine."""
        host = self._world.hosts[urlsplit(uri).hostname or ""]
        disks = host.domains[uuid].info().disks
        path = next(disk.path for disk in disks if disk.device_name == device_name)
        yield Path(path or "").read_bytes()[:size_bytes]

    def job(self, uuid: str) -> JobStats:
        """The move's statistics on the source; none on the destination, as with libvirt."""
        with self._world.lock:
            found = self._host("job").domains.get(uuid)
            return NO_JOB if found is None else found.job

    def completed_job(self, uuid: str) -> JobStats | None:
        """Of the last move of this domain."""
        with self._world.lock:
            return self._domain("completed_job", uuid).completed

    def free_failed_move(self, uuid: str) -> list[str]:
        """A move that hangs after its failure ends now."""
        with self._world.lock:
            move = self._domain("free_failed_move", uuid).move
        return [] if move is None else move.free()

    def has_sent_memory(self, uuid: str) -> bool:
        """Whether a move has come to its switchover with all of it."""
        with self._world.lock:
            found = self._host("has_sent_memory").domains.get(uuid)
            return found is not None and found.has_sent_memory

    def abort_job(self, uuid: str) -> None:
        """The move fails when it next looks; a backup ends."""
        with self._world.lock:
            domain = self._domain("abort_job", uuid)
            domain.end_backup()
            move = domain.move
            if domain.is_half and domain.job.is_active:
                raise self._invalid("cannot abort migration in post-copy mode")
        if move is not None:
            move.abort()

    def start_post_copy(self, uuid: str) -> None:
        """The move switches when it next looks."""
        with self._world.lock:
            move = self._active("start_post_copy", uuid).move
            if move is None:
                raise self._invalid("post-copy can only be started while outgoing migration is in progress")
            if not move.spec.post_copy:
                raise self._invalid("switching to post-copy requires migration to be started with VIR_MIGRATE_POSTCOPY flag")
        move.switch()

    def break_post_copy(self, uuid: str) -> None:
        """It fails when it next looks."""
        with self._world.lock:
            domain = self._active("break_post_copy", uuid)
            if domain.move is None or domain.reason != "postcopy":
                raise self._invalid("current job is not outgoing migration in post-copy mode")
            domain.move.is_connection_broken = True
        domain.move.wake.set()

    def set_max_downtime_ms(self, uuid: str, downtime_ms: int) -> None:
        """libvirt takes it also while there is no job."""
        del downtime_ms
        with self._world.lock:
            self._active("set_max_downtime_ms", uuid)

    def pause(self, uuid: str) -> None:
        """Running → paused; while it is moved libvirt counts that as a pause of the move, and ends it with the move."""
        with self._world.changing(self._name, uuid):
            domain = self._active("pause", uuid)
            if domain.is_running:
                domain.set_state(PowerState.PAUSED, "migration" if domain.job.is_active else "user")

    def resume(self, uuid: str) -> None:
        """Paused → running."""
        with self._world.changing(self._name, uuid):
            domain = self._active("resume", uuid)
            if domain.is_running:
                raise self._invalid("domain is already running")
            if domain.is_half:
                raise self._invalid("job 'migration out' in post-copy phase")
            domain.set_state(PowerState.RUNNING, "unpaused")

    def autostart(self, uuid: str) -> bool:
        """A mark on the domain."""
        return self._domain("autostart", uuid).autostart

    def set_autostart(self, uuid: str, *, is_on: bool) -> None:
        """A mark on the domain."""
        self._domain("setAutostart", uuid).autostart = is_on

    def define_secret(self, secret: Secret) -> None:
        """In place of an older one."""
        self._host("secretDefineXML").secrets[secret.uuid] = secret

    def undefine_secret(self, uuid: str) -> None:
        """Absent is fine."""
        self._host("secretUndefine").secrets.pop(uuid, None)

    def secrets(self) -> dict[str, str]:
        """Usage by UUID."""
        return {uuid: secret.usage for uuid, secret in self._host("listAllSecrets").secrets.items()}

    def define(self, xml: str) -> None:
        """A new definition, or in place of the old one."""
        uuid = parse(xml).findtext("./uuid") or ""
        host = self._host("define")
        with self._world.changing(self._name, uuid):
            new = FakeDomain(uuid, None, xml, PowerState.SHUTOFF, "unknown")
            host.domains.setdefault(uuid, new).inactive_xml = xml

    def undefine(self, uuid: str) -> None:
        """A running domain becomes transient; absent is fine."""
        host = self._host("undefine")
        with self._world.changing(self._name, uuid):
            domain = host.domains.get(uuid)
            if domain is None:
                return
            domain.inactive_xml = None
            if not domain.is_active:
                del host.domains[uuid]

    def destroy(self, uuid: str) -> None:
        """A transient domain vanishes; absent or not running is fine."""
        host = self._host("destroy")
        with self._world.changing(self._name, uuid):
            domain = host.domains.get(uuid)
            if domain is not None and domain.is_half:
                self._world.halves_ended.append(f"{uuid} on {self._name}")
            if domain is not None and domain.is_active and not domain.stop("destroyed"):
                del host.domains[uuid]

    def listen(self, changed: Callable[[str], None]) -> None:
        """Called from the thread that made the change."""
        self._host("listen").listeners.append(changed)

    def close(self) -> None:
        """Nothing to let go of."""

    def _host(self, call: str) -> FakeHost:
        host = self._world.hosts[self._name]
        host.check_answers(call)
        return host

    def _domain(self, call: str, uuid: str) -> FakeDomain:
        found = self._host(call).domains.get(uuid)
        if found is None:
            raise DomainNotFound(uuid=uuid, host=self._name)
        return found

    def _active(self, call: str, uuid: str) -> FakeDomain:
        domain = self._domain(call, uuid)
        if not domain.is_active:
            raise self._invalid("domain is not running")
        return domain

    def _invalid(self, reason: str) -> HypervisorError:
        return HypervisorError(host=self._name, reason=f"Requested operation is not valid: {reason}")
