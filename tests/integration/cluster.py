"""Hosts of a FakeWorld with real directories, disks and records: everything of lmigrate but libvirt, Redis and processes."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from functools import cache, cached_property
from pathlib import Path
from typing import Any
from unittest import mock

from pydantic import SecretStr
from sqlalchemy import select

from lmigrate import clock, crypto
from lmigrate.config import ConductorSettings, HostSettings, MigrationSettings, SecretSettings, Settings, StorageSettings
from lmigrate.db.models import (
    BlockDeviceMapping,
    Host,
    Instance,
    InstanceAction,
    InstanceActionEvent,
    Migration,
    MigrationStep,
    Reservation,
    Volume,
    VolumeAttachment,
)
from lmigrate.db.session import Session, reading, writing
from lmigrate.db.stores import volumes
from lmigrate.ids import new_uuid
from lmigrate.migration import reconcile, rollback
from lmigrate.migration.attempt import send_tail
from lmigrate.migration.connections import secret_uuid
from lmigrate.migration.dispatch import ObserveMessage, StepMessage, UndoMessage
from lmigrate.migration.observe import observe
from lmigrate.migration.request import LiveMigrationRequest, request_live_migration
from lmigrate.migration.runner import run_step
from lmigrate.migration.steps.base import no_hypervisor
from lmigrate.migration.undo import undo_step
from lmigrate.states import AttachmentState, MigrationStatus, PowerState, VmState
from lmigrate.storage import login
from lmigrate.storage.drivers import registry
from lmigrate.storage.drivers.base import Connector, VolumeRef
from lmigrate.virt.fake import FakeHypervisor
from lmigrate.virt.fake_world import FakeWorld
from lmigrate.virt.protocol import Hypervisor
from tests.factories import records
from tests.fakes.san import FakeSan
from tests.integration.mail import ConductorMessage, Mail, Message

DISK_BYTES = 1 << 16


class Cluster:
    """Some hosts.

    ``is_shared``: one instances directory for all of them.  ``san``: a backend on which guests may have volumes; the
    driver and the login are found through `serving`.
    """

    def __init__(self, top: Path, *names: str, is_shared: bool = False, san: FakeSan | None = None, **migration: Any) -> None:
        self.world = FakeWorld(*names)
        self.mail = Mail()
        self.top = top
        self.is_shared = is_shared
        self.san = san
        self.epochs: dict[str | None, str] = {}  # of the hosts' daemons; a daemon without one is never started anew
        self.settings = cache(self._settings)  # reading them takes as long as a step
        self._directories = {name: top / ("shared" if is_shared else name) / "instances" for name in names}
        self._migration = MigrationSettings(**{"tls": False, "poll_interval_s": 0.002, "progress_interval_s": 0.1, **migration})
        for directory in self._directories.values():
            directory.mkdir(parents=True, exist_ok=True)
        with writing() as session:
            session.add_all(
                records.host_row(name, instances_path=str(path), connector=connector(name)) for name, path in self._directories.items()
            )

    # -- what there is ----------------------------------------------------------------------------

    def instances(self, host: str) -> Path:
        """The host's instances directory."""
        return self._directories[host]

    def hypervisor(self, host: str) -> FakeHypervisor:
        return FakeHypervisor(self.world, host)

    def connect(self, host: str | None) -> Callable[[], Hypervisor]:
        return no_hypervisor if host not in self._directories else lambda: self.hypervisor(host)

    def _settings(self, host: str | None) -> Settings:
        """Of a host's daemon, of a backend's, or of the conductor (None)."""
        name = host or "conductor"
        paths = {"instances_path": self._directories[name]} if name in self._directories else {}
        options = HostSettings(name=name, state_dir=self.top / "run" / name, **paths)
        return Settings(host=options, migration=self._migration, conductor=ConductorSettings(resend_after_s=10), **self._of_storage)

    @cached_property
    def _of_storage(self) -> dict[str, Any]:
        if self.san is None:
            return {}
        backend = {"driver": "iscsi-tgt", "portal": "san:3260", "directory": "/nowhere"}
        storage = StorageSettings.model_validate({"backends": {self.san.backend: backend}, "serves": self.san.backend})
        return {"storage": storage, "secrets": SecretSettings(keys=[SecretStr(crypto.new_key())])}

    def boot(
        self,
        host: str,
        *,
        disks: int = 1,
        is_persistent: bool = True,
        is_paused: bool = False,
        volume_count: int = 0,
        has_config_drive: bool = False,
    ) -> str:
        """A guest with raw disks of random content, as the host's daemon would have recorded it; its UUID."""
        power, vm = (PowerState.PAUSED, VmState.PAUSED) if is_paused else (PowerState.RUNNING, VmState.ACTIVE)
        instance = records.instance_row(host, power_state=power, vm_state=vm, is_persistent=is_persistent, memory_mib=64)
        directory = self._directories[host] / instance.uuid
        directory.mkdir()
        paths = [directory / f"disk{number}" for number in range(disks)]
        for number, path in enumerate(paths):
            path.write_bytes(hashlib.sha256(f"{instance.uuid} {number}".encode()).digest() * (DISK_BYTES // 32))
        (directory / "console.log").write_text("login:\n")
        found = [self._make_volume(host, number) for number in range(volume_count)]
        devices = _network_disks([volume.source_name for volume in found]) + (_config_drive(directory) if has_config_drive else "")
        self.world.boot(host, _xml(instance, paths, devices), is_persistent=is_persistent, is_paused=is_paused)
        with writing() as session:
            session.add_all([instance, *found])
            session.flush()
            session.add(records.sighting_row(host, instance, is_persistent=is_persistent, power_state=power, cpu_xml="<cpu/>"))
            session.add_all(
                records.disk_row(instance, f"vd{'abc'[number]}", path=self._seen_by_all(path), format="raw", capacity_bytes=DISK_BYTES)
                for number, path in enumerate(paths)
            )
            names = enumerate(volume.source_name for volume in found)
            session.add_all(records.disk_row(instance, f"vd{'xyz'[place]}", source_name=name, path=None) for place, name in names)
            volumes.link_disks(session, instance.uuid)
        self._let_in(host, instance.uuid)
        return instance.uuid

    def _make_volume(self, host: str, number: int) -> Volume:
        assert self.san is not None
        made = self.san.create(new_uuid(), DISK_BYTES)
        name = self.san.source_name(made)
        return Volume(
            uuid=made.uuid,
            name=f"{host}-{number}",
            backend=self.san.backend,
            source_name=name,
            location=made.location,
            size_bytes=DISK_BYTES,
        )

    def _let_in(self, host: str, uuid: str) -> None:
        """As the guest's host already is when its guest is found."""
        with reading() as session:
            rows = volumes.of_instance(session, uuid, host)
        for disk in rows:
            assert self.san is not None
            assert disk.attachment is not None
            self.san.grant(VolumeRef(disk.volume.uuid, disk.volume.location), Connector(host, initiator(host), host), disk.attachment.uuid)

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
        self.pass_time(seconds)
        sentences = self.reconcile()
        self.mail.deliver_all(work or self.work)
        return sentences

    def pass_time(self, seconds: float = 3600.0) -> None:
        """Pauses and leases run out."""
        with writing() as session:
            for row in [*session.scalars(select(Migration)), *session.scalars(select(MigrationStep))]:
                for name in ("dispatched_at", "ready_at", "lease_until"):
                    moment = getattr(row, name, None)
                    if moment is not None:
                        setattr(row, name, moment - timedelta(seconds=seconds))

    def reconcile(self) -> list[str]:
        """The reconciler's look; its sentences."""
        return reconcile.reconcile(self.settings(None), self.mail)

    def work(self, message: Message) -> str:
        """What the worker of that queue does, as in tasks/."""
        match message:
            case StepMessage(step, migration_id, attempt, address):
                place, epoch = address.place, self.epochs.get(address.place)
                done = run_step(step, migration_id, attempt, self.settings(place), epoch, connect=self.connect(place))
                return f"{done}; {send_tail(migration_id, attempt, self.mail)}" if step == "select_destination" else done
            case UndoMessage(step, migration_id, attempt, address):
                place, epoch = address.place, self.epochs.get(address.place)
                return undo_step(step, migration_id, attempt, self.settings(place), epoch, connect=self.connect(place))
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
            (name, uuid): (domain.power_state, domain.active_xml, domain.inactive_xml, domain.memory, domain.autostart, domain.job)
            for name, host in self.world.hosts.items()
            for uuid, domain in host.domains.items()
        }
        secrets = {name: dict(host.secrets) for name, host in self.world.hosts.items()}
        let_in = {} if self.san is None else dict(self.san.let_in)
        found = sorted(path for path in self.top.rglob("*") if "run" not in path.relative_to(self.top).parts)
        files = {str(path): path.read_bytes() if path.is_file() else None for path in found}
        with reading() as session:
            return {"domains": domains, "secrets": secrets, "let_in": let_in, "files": files, **_records(session)}

    def check(self) -> None:
        """What holds at every moment."""
        assert self.world.split_brains == []
        assert self.world.lost == []
        assert self.world.halves_ended == []

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
        self._check_volumes(uuid, destination)

    def _check_volumes(self, uuid: str, host: str) -> None:
        """Only ``host`` is let in, by rows that say so, and only its libvirt knows the passwords."""
        with reading() as session:
            rows = session.scalars(select(VolumeAttachment).where(VolumeAttachment.instance_uuid == uuid)).all()
            used = session.scalars(select(BlockDeviceMapping.attachment_uuid).where(BlockDeviceMapping.volume_uuid.is_not(None))).all()
        assert {(row.host, row.state, row.migration_id) for row in rows} <= {(host, AttachmentState.GRANTED, None)}
        assert {row.uuid for row in rows} == set(used)
        if self.san is not None:
            assert {(who, attachment) for _, who, attachment in self.san.let_in} == {(initiator(host), row.uuid) for row in rows}
            known = {name: set(found.secrets) for name, found in self.world.hosts.items() if found.secrets}
            assert known == ({host: {secret_uuid(row.uuid) for row in rows}} if rows else {})


@contextmanager
def serving(san: FakeSan, driver: Callable[[], Any] | None = None) -> Iterator[None]:
    """The drivers and logins of this process are those of ``san``; ``driver``: what the storage daemon gets in its place."""
    with (
        mock.patch.dict(registry.DRIVERS, {"iscsi-tgt": lambda _name, _options: san if driver is None else driver()}),
        mock.patch.object(login, "why_refused", lambda info, _pki_dir: san.why_refused(info)),
    ):
        yield


def initiator(host: str) -> str:
    return HostSettings(name=host).initiator


def connector(host: str) -> dict[str, Any]:
    return Connector(host, initiator(host), host).to_json()


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
        "attachments": [
            (row.uuid, row.host, row.state, row.migration_id)
            for row in session.scalars(select(VolumeAttachment).order_by(VolumeAttachment.uuid))
        ],
        "disks": [
            (row.device_name, row.attachment_uuid) for row in session.scalars(select(BlockDeviceMapping).order_by(BlockDeviceMapping.id))
        ],
    }


def _network_disks(names: list[str]) -> str:
    """As QEMU reaches a volume without a password: how the guest's first host was let in is not lmigrate's business."""
    return "".join(
        f"<disk type='network' device='disk'><driver name='qemu' type='raw'/>"
        f"<source protocol='iscsi' name='{name}'><host name='san' port='3260'/></source>"
        f"<target dev='vd{'xyz'[place]}' bus='virtio'/></disk>"
        for place, name in enumerate(names)
    )


def _config_drive(directory: Path) -> str:
    path = directory / "disk.config"
    path.write_bytes(b"config-2" * 512)
    return (
        f"<disk type='file' device='cdrom'><driver name='qemu' type='raw'/><source file='{path}'/>"
        "<target dev='sda' bus='sata'/><readonly/></disk>"
    )


def _xml(instance: Instance, disks: list[Path], devices: str = "") -> str:
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
  <devices>{described}{devices}<serial type='file'><source path='{directory}/console.log'/></serial></devices>
</domain>
"""
