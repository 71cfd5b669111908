"""The steps of a move to and from a host whose kernel logs in to the volumes; the kernel itself is a stand-in."""

from __future__ import annotations

from dataclasses import replace

import pytest

from lmigrate.config import HostSettings, Settings
from lmigrate.db.models import Instance, Migration
from lmigrate.db.session import reading, writing
from lmigrate.db.stores import volumes
from lmigrate.errors import MigrationPreCheckError, StorageError
from lmigrate.migration.connections import connections_of
from lmigrate.migration.migrate_data import MigrateData
from lmigrate.migration.steps.base import StepContext
from lmigrate.migration.steps.migrate import _volume_sources
from lmigrate.migration.steps.post_at_source import PostAtSource
from lmigrate.migration.steps.pre_live_migration import _open_volumes, close_volume
from lmigrate.storage.drivers.base import ConnectionInfo
from lmigrate.storage.initiators import KernelInitiator, device_path
from lmigrate.virt.types import Secret
from tests.factories.records import disk_row, host_row, instance_row, migration_row
from tests.unit.volumes.conftest import BACKEND, Save, attachment_row, connector, volume_row

NOTHING_LOCAL = MigrateData(
    is_volume_backed=True,
    is_shared_instance_path=False,
    is_shared_block_storage=True,
    block_migration=False,
    source_instances_path="/instances",
    destination_instances_path="/instances",
    disk_available_bytes=0,
    disk_needed_bytes=0,
    disks=[],
    needed_files=[],
    is_persistent=True,
    removable_files=[],
).model_dump()


class Kernel:
    """Who is logged in where; os-brick's place is taken below KernelInitiator."""

    def __init__(self) -> None:
        self.sessions: set[str] = set()
        self.refuses = ""

    def call(self, _self: KernelInitiator, method: str, info: ConnectionInfo, *_arguments: object) -> None:
        if info.source_name == self.refuses:
            raise StorageError(backend="iscsi", reason=f"os-brick, {method}: login failed")
        if method == "connect_volume":
            self.sessions.add(info.source_name)
        else:
            self.sessions.discard(info.source_name)


class Libvirt:
    """Its secrets."""

    def __init__(self) -> None:
        self.known: set[str] = set()

    def define_secret(self, secret: Secret) -> None:
        self.known.add(secret.uuid)

    def undefine_secret(self, uuid: str) -> None:
        self.known.discard(uuid)


@pytest.fixture
def kernel(monkeypatch: pytest.MonkeyPatch) -> Kernel:
    made = Kernel()
    monkeypatch.setattr(KernelInitiator, "_call", lambda *arguments: made.call(*arguments))  # noqa: PLW0108 - a bound one would not get the initiator
    return made


@pytest.fixture
def libvirt() -> Libvirt:
    return Libvirt()


@pytest.fixture
def context(configured: Settings, save: Save, libvirt: Libvirt) -> StepContext:
    """A guest on node5 with two volumes, let in on node6, where the kernel logs in."""
    instance, found = instance_row("node5"), [volume_row("v0"), volume_row("v1")]
    migration = migration_row(instance, dest_host="node6")
    save(*(host_row(name, connector=connector(name)) for name in ("node5", "node6")), *found, instance, migration)
    save(*(disk_row(instance, name, source_name=row.source_name, path=None) for name, row in zip("ab", found, strict=True)))
    save(*(attachment_row(row, host, instance.uuid) for row in found for host in ("node5", "node6")))
    with writing() as session:
        volumes.link_disks(session, instance.uuid)
    with reading() as session:
        rows = session.get_one(Migration, migration.id), session.get_one(Instance, instance.uuid)
        session.expunge_all()
    volumes_here = [{"device_name": name, "volume_uuid": row.uuid} for name, row in zip("ab", found, strict=True)]
    rows[0].migrate_data = {**NOTHING_LOCAL, "volumes": volumes_here}
    host = HostSettings(name="node6", volume_initiator="kernel")
    settings = configured.model_copy(update={"host": host})
    return StepContext(*rows, settings, {}, lambda _facts: None, lambda: False, lambda: None, lambda: libvirt, BACKEND)  # type: ignore[arg-type, return-value]


def test_the_destination_opens_block_devices_and_needs_no_secrets(context: StepContext, kernel: Kernel, libvirt: Libvirt) -> None:
    devices = _open_volumes(context)
    found = connections_of(context)
    assert devices == {connection.device_name: device_path(connection.info) for connection in found}
    assert kernel.sessions == {connection.info.source_name for connection in found}
    assert libvirt.known == set()
    sources = _volume_sources(replace(context, facts={"pre_live_migration": {"devices": devices}}), frozenset())
    assert {(name, source.protocol, source.name) for name, source in sources.items()} == {
        (name, "block", path) for name, path in devices.items()
    }


def test_a_host_without_it_is_given_network_disks(context: StepContext, kernel: Kernel, libvirt: Libvirt) -> None:
    sources = _volume_sources(replace(context, facts={"pre_live_migration": {"devices": {}}}), frozenset({"b"}))
    assert {(name, source.protocol) for name, source in sources.items()} == {("a", "iscsi")}
    assert (kernel.sessions, libvirt.known) == (set(), set())


def test_what_was_opened_before_the_failure_is_closed(context: StepContext, kernel: Kernel) -> None:
    first, second = connections_of(context)
    kernel.refuses = second.info.source_name
    with pytest.raises(MigrationPreCheckError, match=r"\(b\) cannot be reached from here: os-brick, connect_volume: login failed"):
        _open_volumes(context)
    assert kernel.sessions == {first.info.source_name}
    kernel.refuses = ""
    for connection in connections_of(context):
        close_volume(context, connection)
        close_volume(context, connection)
    assert kernel.sessions == set()


def test_the_sources_kernel_lets_go_but_not_of_what_a_neighbour_uses(context: StepContext, kernel: Kernel, save: Save) -> None:
    with reading() as session:
        disks = volumes.of_instance(session, context.instance.uuid, "node5")
    kernel.sessions = {disk.volume.source_name for disk in disks}
    neighbour = instance_row("node5")
    save(neighbour, attachment_row(disks[0].volume, "node5", neighbour.uuid))
    PostAtSource()._leave_volumes(context)
    assert kernel.sessions == {disks[0].volume.source_name}
