"""Hosts of a FakeWorld with real directories, disks and records: everything of lmigrate but libvirt, Redis and processes."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import select

from lmigrate import clock
from lmigrate.config import ConductorSettings, HostSettings, MigrationSettings, Settings
from lmigrate.db.models import Host, Instance, InstanceAction, InstanceActionEvent, Migration, MigrationStep, Reservation
from lmigrate.db.session import Session, reading, writing
from lmigrate.migration import reconcile, rollback
from lmigrate.migration.attempt import send_tail
from lmigrate.migration.dispatch import ObserveMessage, StepMessage, UndoMessage
from lmigrate.migration.observe import observe
from lmigrate.migration.request import LiveMigrationRequest, request_live_migration
from lmigrate.migration.runner import run_step
from lmigrate.migration.steps.base import no_hypervisor
from lmigrate.migration.undo import undo_step
from lmigrate.states import MigrationStatus, PowerState, VmState
from lmigrate.storage import disk_image
from lmigrate.virt.fake import FakeHypervisor
from lmigrate.virt.fake_world import FakeWorld
from lmigrate.virt.protocol import Hypervisor
from tests.factories import records
from tests.integration.mail import ConductorMessage, Mail, Message

DISK_BYTES = 1 << 20


class Cluster:
    """Some hosts.  ``shared``: one instances directory for all of them."""

    def __init__(self, top: Path, *names: str, is_shared: bool = False, **migration: Any) -> None:
        self.world = FakeWorld(*names)
        self.mail = Mail()
        self.top = top
        self.is_shared = is_shared
        self._directories = {name: top / ("shared" if is_shared else name) / "instances" for name in names}
        self._migration = MigrationSettings(tls=False, poll_interval_s=0.002, progress_interval_s=0.1, **migration)
        for directory in self._directories.values():
            directory.mkdir(parents=True, exist_ok=True)
        with writing() as session:
            session.add_all(records.host_row(name, instances_path=str(path)) for name, path in self._directories.items())

    # -- what there is ----------------------------------------------------------------------------

    def instances(self, host: str) -> Path:
        """The host's instances directory."""
        return self._directories[host]

    def hypervisor(self, host: str) -> FakeHypervisor:
        return FakeHypervisor(self.world, host)

    def connect(self, host: str | None) -> Callable[[], Hypervisor]:
        return no_hypervisor if host is None else lambda: self.hypervisor(host)

    def settings(self, host: str | None) -> Settings:
        """Of a host's daemon, or of the conductor (None)."""
        name = host or "conductor"
        paths = {} if host is None else {"instances_path": self._directories[host]}
        options = HostSettings(name=name, state_dir=self.top / "run" / name, **paths)
        return Settings(host=options, migration=self._migration, conductor=ConductorSettings(resend_after_s=10))

    def boot(self, host: str, *, disks: int = 1, is_persistent: bool = True, is_paused: bool = False) -> str:
        """A guest with raw disks of random content, as the host's daemon would have recorded it; its UUID."""
        power, vm = (PowerState.PAUSED, VmState.PAUSED) if is_paused else (PowerState.RUNNING, VmState.ACTIVE)
        instance = records.instance_row(host, power_state=power, vm_state=vm, is_persistent=is_persistent, memory_mib=64)
        directory = self._directories[host] / instance.uuid
        directory.mkdir()
        paths = [directory / f"disk{number}" for number in range(disks)]
        for number, path in enumerate(paths):
            disk_image.create(path, "raw", DISK_BYTES)
            path.write_bytes(hashlib.sha256(f"{instance.uuid} {number}".encode()).digest() * (DISK_BYTES // 32))
        (directory / "console.log").write_text("login:\n")
        self.world.boot(host, _xml(instance, paths), is_persistent=is_persistent, is_paused=is_paused)
        with writing() as session:
            session.add(instance)
            session.flush()
            session.add(records.sighting_row(host, instance, is_persistent=is_persistent, power_state=power, cpu_xml="<cpu/>"))
            session.add_all(
                records.disk_row(instance, f"vd{'abc'[number]}", path=self._seen_by_all(path), format="raw", capacity_bytes=DISK_BYTES)
                for number, path in enumerate(paths)
            )
            return instance.uuid

    def _seen_by_all(self, path: Path) -> str | None:
        """All hosts are one machine here: another's private directory must not be known to them."""
        return str(path) if self.is_shared else None

    # -- what is done -----------------------------------------------------------------------------

    def request(self, uuid: str, host: str | None = None, **fields: Any) -> int:
        """Accept a request; nothing is delivered yet.  The migration's id."""
        values: dict[str, Any] = {"block_migration": None, "disk_over_commit": None, "is_forced": False, **fields}
        return request_live_migration(LiveMigrationRequest(instance_uuid=uuid, host=host, **values), self.mail)

    def migrate(self, uuid: str, host: str | None = None, **fields: Any) -> Migration:
        """Request, deliver everything; the migration as it then is."""
        migration_id = self.request(uuid, host, **fields)
        self.deliver()
        return self.migration(migration_id)

    def deliver(self) -> None:
        self.mail.deliver_all(self.work)

    def later(self, seconds: float = 3600.0, work: Callable[[Message], str] | None = None) -> list[str]:
        """Time goes by, the reconciler looks, what it sends is delivered; its sentences."""
        with writing() as session:
            for row in [*session.scalars(select(Migration)), *session.scalars(select(MigrationStep))]:
                for name in ("dispatched_at", "ready_at", "lease_until"):
                    moment = getattr(row, name, None)
                    if moment is not None:
                        setattr(row, name, moment - timedelta(seconds=seconds))
        sentences = reconcile.reconcile(self.settings(None), self.mail)
        self.mail.deliver_all(work or self.work)
        return sentences

    def work(self, message: Message) -> str:
        """What the worker of that queue does, as in tasks/."""
        match message:
            case StepMessage(step, migration_id, attempt, address):
                done = run_step(step, migration_id, attempt, self.settings(address.place), None, connect=self.connect(address.place))
                return f"{done}; {send_tail(migration_id, attempt, self.mail)}" if step == "select_destination" else done
            case UndoMessage(step, migration_id, attempt, address):
                return undo_step(step, migration_id, attempt, self.settings(address.place), None, connect=self.connect(address.place))
            case ObserveMessage(side, migration_id, round_number, address):
                return observe(side, migration_id, round_number, address.place or "", self.connect(address.place))
            case ConductorMessage(task, args):
                conductor = {"rollback": rollback.roll_back, "decide": rollback.decide, "rolled_back": rollback.rolled_back}
                return conductor[task](*args, self.mail)

    # -- what became of it ------------------------------------------------------------------------

    def migration(self, migration_id: int) -> Migration:
        with reading() as session:
            return session.get_one(Migration, migration_id)

    def instance(self, uuid: str) -> Instance:
        with reading() as session:
            return session.get_one(Instance, uuid)

    def journal(self, migration_id: int) -> dict[str, str]:
        """State of each step of the last attempt."""
        with reading() as session:
            rows = session.scalars(select(MigrationStep).where(MigrationStep.migration_id == migration_id).order_by(MigrationStep.attempt))
            return {row.name: row.state.value for row in rows}

    def events(self, migration_id: int) -> list[str]:
        """The sentences of the migration's action."""
        with reading() as session:
            query = select(InstanceActionEvent).join(InstanceAction, InstanceAction.id == InstanceActionEvent.action_id)
            query = query.where(InstanceAction.migration_id == migration_id).order_by(InstanceActionEvent.id)
            return [f"{row.event}: {row.details}" for row in session.scalars(query)]

    def snapshot(self) -> dict[str, Any]:
        """All that a failed migration must leave as it was: domains, files, records."""
        domains = {
            (name, uuid): (domain.power_state, domain.active_xml, domain.inactive_xml, domain.memory)
            for name, host in self.world.hosts.items()
            for uuid, domain in host.domains.items()
        }
        found = sorted(path for path in self.top.rglob("*") if "run" not in path.relative_to(self.top).parts)
        files = {str(path): path.read_bytes() if path.is_file() else None for path in found}
        with reading() as session:
            return {"domains": domains, "files": files, **_records(session)}

    def check(self) -> None:
        """What holds at every moment."""
        assert self.world.split_brains == []
        assert self.world.lost == []

    def check_moved(self, migration: Migration, source: str, destination: str) -> None:
        """All is at the destination, nothing is left at the source, nobody works on it."""
        self.check()
        uuid = migration.instance_uuid
        assert (migration.status, migration.error) == (MigrationStatus.COMPLETED, None)
        assert list(self.world.where(uuid)) == [destination]
        instance = self.instance(uuid)
        assert (instance.host, instance.task_state, instance.progress) == (destination, None, 0)
        if self._directories[source] != self._directories[destination]:
            assert list(self._directories[source].iterdir()) == []
        left = [path.name for path in self._directories[destination].rglob(".*")]
        assert left == []
        with reading() as session:
            assert session.scalars(select(Reservation)).all() == []


def wait_until(condition: Callable[[], bool], timeout_s: float = 10.0) -> None:
    """Wait for what another thread brings about."""
    deadline_s = clock.monotonic_s() + timeout_s
    while not condition():
        assert clock.monotonic_s() < deadline_s, "waited in vain"
        clock.sleep_s(0.002)


def _records(session: Session) -> dict[str, Any]:
    instances = session.scalars(select(Instance).order_by(Instance.uuid))
    return {
        "instances": [(row.uuid, row.host, row.vm_state, row.power_state, row.task_state, row.progress) for row in instances],
        "reservations": session.scalars(select(Reservation.host)).all(),
        "hosts": [(row.name, row.enabled) for row in session.scalars(select(Host).order_by(Host.name))],
    }


def _xml(instance: Instance, disks: list[Path]) -> str:
    described = "".join(
        f"<disk type='file' device='disk'><driver name='qemu' type='raw'/><source file='{path}'/>"
        f"<target dev='vd{'abc'[number]}' bus='virtio'/></disk>"
        for number, path in enumerate(disks)
    )
    directory = disks[0].parent if disks else Path("/nowhere")
    return f"""\
<domain type='kvm'>
  <name>{instance.name}</name><uuid>{instance.uuid}</uuid><memory unit='MiB'>{instance.memory_mib}</memory><vcpu>1</vcpu>
  <os><type arch='x86_64' machine='pc-i440fx-7.2'>hvm</type></os>
  <devices>{described}<serial type='file'><source path='{directory}/console.log'/></serial></devices>
</domain>
"""
