"""What happens to each kind of disk: CheckSource over real files and real records, for every mix."""

from __future__ import annotations

from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any, cast

import pytest

from lmigrate.config import HostSettings, Settings
from lmigrate.db.models import Volume
from lmigrate.db.session import writing
from lmigrate.db.stores import volumes
from lmigrate.errors import DestinationDiskTooSmall, InvalidLocalStorage, InvalidSharedStorage, NotMigratable
from lmigrate.ids import new_uuid
from lmigrate.migration.migrate_data import MigrateData
from lmigrate.migration.steps.base import StepContext
from lmigrate.migration.steps.check_source import CheckSource
from lmigrate.states import PowerState
from lmigrate.storage import disk_image, probe
from lmigrate.virt.flags import migrate_flags
from lmigrate.virt.protocol import Hypervisor
from lmigrate.virt.types import DomainInfo, JobStats, JobType, MigrateSpec
from lmigrate.virt.xml.document import parse
from lmigrate.virt.xml.domain import disks as disks_of
from tests.factories.records import disk_row, host_row, instance_row, migration_row

MIB = 1 << 20
_CDROM = "<disk type='file' device='cdrom'><driver type='{format}'/><source file='{path}'/><target dev='{device}'/><readonly/></disk>"
DISKS = {
    "local": "<disk type='file'><driver type='qcow2'/><source file='{own}/disk0'/><target dev='vda'/></disk>",
    "raw": "<disk type='file'><driver type='raw'/><source file='{own}/raw'/><target dev='vde'/></disk>",
    "root": "<disk type='network'><source protocol='iscsi' name='iqn.x:v1/1'/><target dev='vdb'/><boot order='1'/></disk>",
    "data": "<disk type='network'><source protocol='iscsi' name='iqn.x:v2/1'/><target dev='vdc'/></disk>",
    "unknown": "<disk type='network'><source protocol='iscsi' name='iqn.y:z/1'/><target dev='vdd'/></disk>",
    "config": _CDROM.format(format="raw", path="{own}/disk.config", device="sda"),
    "config qcow2": _CDROM.format(format="qcow2", path="{own}/disk.config", device="sda"),
    "iso": _CDROM.format(format="raw", path="{elsewhere}/x.iso", device="sdb"),
    "read-only": "<disk type='file'><driver type='raw'/><source file='{own}/ro'/><target dev='vdf'/><readonly/></disk>",
    "shareable": "<disk type='file'><driver type='raw'/><source file='{own}/shared'/><target dev='vdg'/><shareable/></disk>",
    "shareable volume": "<disk type='network'><source protocol='iscsi' name='iqn.x:v2/1'/><target dev='vdc'/><shareable/></disk>",
    "empty drive": "<disk type='file' device='cdrom'><target dev='sdc'/><readonly/></disk>",
    "block": "<disk type='block'><source dev='/dev/sdz'/><target dev='vdh'/></disk>",
    "kernel": "<disk type='block'><source dev='/dev/disk/by-path/ip-10.0.0.1:3260-iscsi-iqn.x:v1-lun-1'/><target dev='vdb'/></disk>",
    "kernel unknown": "<disk type='block'><source dev='/dev/disk/by-path/ip-10.0.0.1:3260-iscsi-iqn.y:z-lun-1'/><target dev='vdb'/></disk>",
    "read-only block": "<disk type='block' device='cdrom'><source dev='/dev/sr0'/><target dev='sdd'/><readonly/></disk>",
    "lun": "<disk type='network' device='lun'><source protocol='iscsi' name='iqn.x:v1/1'/><target dev='vdb'/></disk>",
    "reservations": "<disk type='network'><source protocol='iscsi' name='iqn.x:v1/1'><reservations/></source><target dev='vdb'/></disk>",
    "encrypted": "<disk type='network'><source protocol='iscsi' name='iqn.x:v2/1'><encryption format='luks'>"
    "<secret type='passphrase' uuid='22222222-2222-4222-8222-222222222222'/></encryption></source><target dev='vdc'/></disk>",
    "directory": "<disk type='dir'><source dir='/srv'/><target dev='vdi'/></disk>",
}
FILES = {"disk0": 4, "raw": 2, "disk.config": 1, "ro": 1, "shared": 1}


@dataclass
class Looker:
    """A libvirtd that has one domain, and is only looked at."""

    xml: str
    info: DomainInfo
    busy: list[str] = field(default_factory=list)

    def domain(self, uuid: str) -> DomainInfo:
        assert uuid == self.info.uuid
        return self.info

    def domain_xml(self, uuid: str, *, is_inactive: bool = False) -> str:
        assert uuid == self.info.uuid
        assert not is_inactive
        return self.xml

    def job(self, uuid: str) -> JobStats:
        assert uuid == self.info.uuid
        return JobStats(JobType.NONE)

    def interlocks(self, uuid: str) -> list[str]:
        assert uuid == self.info.uuid
        return self.busy


@dataclass
class Source:
    """A guest on node5 with an instances directory of its own."""

    directory: Path
    requested: bool | None = None
    is_over_commit: bool = False
    available_mib: int = 100
    busy: list[str] = field(default_factory=list)
    recorded: list[str] | None = None

    def check(self, *names: str, shared: bool = False) -> MigrateData:
        instance, settings = self._instance(names), Settings(host=HostSettings(name="node5", instances_path=self.directory / "instances"))
        asked = {"block_migration": self.requested, "disk_over_commit": self.is_over_commit, "requested_destination": "node6"}
        migration = migration_row(instance, dest_host="node6", **asked)
        own = self.directory / "instances" / instance.uuid
        if shared:
            probe.write_probes([self.directory / "instances", own], migration.uuid)
        xml = f"<domain><devices>{''.join(DISKS[name] for name in names)}</devices></domain>"
        xml = xml.format(own=own, elsewhere=self.directory)
        looker = Looker(xml, _domain(instance.uuid, xml), self.busy)
        facts = {
            "check_destination": {
                "instances_path": "/there",
                "directory_exists": False,
                "disk_available_bytes": self.available_mib * MIB,
                "probed": [],
            }
        }
        context = StepContext(
            migration,
            instance,
            settings,
            facts,
            lambda _facts: None,
            lambda: False,
            lambda: None,
            lambda: cast("Hypervisor", looker),
            "node5",
        )
        return MigrateData.model_validate(CheckSource().do(context)["migrate_data"])

    def _instance(self, names: tuple[str, ...]) -> Any:
        instance = instance_row("node5")
        own = self.directory / "instances" / instance.uuid
        own.mkdir(parents=True)
        for name, size_mib in FILES.items():
            disk_image.create(own / name, "qcow2" if name == "disk0" else "raw", size_mib * MIB)
        (self.directory / "x.iso").write_bytes(b"iso")
        recorded = [name for name in names if "iqn.x" in DISKS[name]] if self.recorded is None else self.recorded
        with writing() as session:
            if session.get(Volume, "v1") is None:
                session.add(host_row("node5"))
                for uuid in ("v1", "v2"):
                    session.add(Volume(uuid=uuid, name=uuid, backend="san1", source_name=f"iqn.x:{uuid}/1", location={}, size_bytes=MIB))
            session.add(instance)
            session.flush()
            for disk in disks_of(parse(f"<domain><devices>{''.join(DISKS[name] for name in recorded)}</devices></domain>")):
                session.add(disk_row(instance, disk.device_name, source_type="network", path=None, source_name=disk.source_name))
            volumes.link_disks(session, instance.uuid)
            session.flush()
            session.expunge(instance)
        return instance


def _domain(uuid: str, xml: str) -> DomainInfo:
    return DomainInfo(
        uuid=uuid,
        name="guest",
        power_state=PowerState.RUNNING,
        reason="booted",
        is_persistent=True,
        memory_mib=32,
        vcpus=1,
        virt_type="kvm",
        cpu_xml=None,
        disks=disks_of(parse(xml)),
        migration_mark=None,
    )


@pytest.fixture
def source(database: str, tmp_path: Path) -> Source:
    del database
    return Source(tmp_path)


@dataclass(frozen=True)
class Decided:
    """By device name."""

    copied: str = ""
    volumes: str = ""
    fetched: str = ""
    needed: str = ""
    is_volume_backed: bool = False


#: disks, is the directory shared → what happens
MIXES: list[tuple[tuple[str, ...], bool, Decided]] = [
    ((), False, Decided()),
    ((), True, Decided()),
    (("empty drive",), False, Decided()),
    (("root",), False, Decided(volumes="vdb", is_volume_backed=True)),
    (("root",), True, Decided(volumes="vdb", is_volume_backed=True)),
    (("root", "data"), False, Decided(volumes="vdb vdc", is_volume_backed=True)),
    (("root", "local"), False, Decided(copied="vda", volumes="vdb", is_volume_backed=True)),
    (("root", "local"), True, Decided(volumes="vdb", is_volume_backed=True)),
    (("local", "data"), False, Decided(copied="vda", volumes="vdc")),
    (("local", "raw"), False, Decided(copied="vda vde")),
    (("local", "raw"), True, Decided()),
    (("local", "config"), False, Decided(copied="vda", fetched="sda")),
    (("local", "config"), True, Decided(needed="cdrom sda")),
    (("root", "config"), False, Decided(volumes="vdb", fetched="sda", is_volume_backed=True)),
    (("config qcow2",), False, Decided(needed="cdrom sda")),
    (("root", "iso"), False, Decided(volumes="vdb", needed="cdrom sdb", is_volume_backed=True)),
    (("local", "read-only"), False, Decided(copied="vda", fetched="vdf")),
    (("local", "shareable"), True, Decided()),
    (("kernel",), False, Decided(volumes="vdb", is_volume_backed=True)),
    (("local", "shareable volume"), False, Decided(copied="vda", volumes="vdc")),
]


@pytest.mark.parametrize(("names", "shared", "wanted"), MIXES, ids=[f"{'+'.join(mix[0]) or 'none'}{' shared' * mix[1]}" for mix in MIXES])
def test_each_disk_of_a_mix(source: Source, names: tuple[str, ...], shared: bool, wanted: Decided) -> None:
    data = source.check(*names, shared=shared)
    decided = Decided(
        copied=" ".join(disk.device_name for disk in data.copied_disks),
        volumes=" ".join(disk.device_name for disk in data.volumes),
        fetched=" ".join(medium.device_name for medium in data.media),
        needed=" ".join(file.what for file in data.needed_files),
        is_volume_backed=data.is_volume_backed,
    )
    assert decided == wanted
    assert data.block_migration is bool(wanted.copied)
    assert data.is_shared_instance_path is shared
    spec = MigrateSpec("u", "d", None, "x", "y", migrate_disks=tuple(disk.device_name for disk in data.copied_disks))
    assert bool(migrate_flags(spec) & (64 | 128)) is bool(wanted.copied)  # VIR_MIGRATE_NON_SHARED_DISK, _INC: with none, libvirt copies all


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("unknown", "disk vdd (iscsi iqn.y:z/1) is not a registered volume"),
        ("block", "disk vdh is a block device of the host (/dev/sdz)"),
        ("kernel unknown", "disk vdb is a block device of the host (/dev/disk/by-path/"),
        ("read-only block", "disk sdd is a block device of the host (/dev/sr0)"),
        ("lun", "disk vdb is passed through as a SCSI LUN"),
        ("reservations", "a disk uses SCSI persistent reservations"),
        ("directory", "disk vdi is of type dir, which cannot be moved"),
        ("shareable", "disk vdg is shareable but lies on local storage"),
    ],
)
def test_a_disk_that_cannot_move_is_refused_with_its_reason(source: Source, name: str, reason: str) -> None:
    with pytest.raises(NotMigratable) as refused:
        source.check(name)
    assert reason in str(refused.value)


def test_all_reasons_are_told_at_once(source: Source) -> None:
    source.busy = ["disk vda has a block job (copy, 3 %): wait"]
    with pytest.raises(NotMigratable) as refused:
        source.check("local", "unknown", "block")
    assert all(word in str(refused.value) for word in ("block job (copy", "iqn.y:z", "/dev/sdz"))


@pytest.mark.parametrize("recorded", [[], ["root", "data"], ["data"]], ids=["not seen yet", "one too many", "another"])
def test_records_that_are_behind_the_domain_refuse(source: Source, recorded: list[str]) -> None:
    source.recorded = recorded
    with pytest.raises(NotMigratable, match="the volumes in the records are not yet those of the domain"):
        source.check("root")


@pytest.mark.parametrize("names", [(), ("root",), ("root", "config")], ids=str)
def test_copying_is_refused_when_there_is_nothing_to_copy(source: Source, names: tuple[str, ...]) -> None:
    source.requested = True
    with pytest.raises(InvalidLocalStorage):
        source.check(*names)


def test_not_copying_is_refused_when_a_disk_would_be_left_behind(source: Source) -> None:
    source.requested = False
    with pytest.raises(InvalidSharedStorage, match="boot-from-volume with no local disks"):
        source.check("root", "local")
    assert source.check("root").block_migration is False


def test_room_is_asked_for_what_is_really_brought(source: Source) -> None:
    assert source.check("root", "data").disk_needed_bytes == 0
    assert source.check("root", "local", "config").disk_needed_bytes == 5 * MIB
    source.is_over_commit = True
    assert MIB < source.check("local", "config").disk_needed_bytes < 2 * MIB  # an empty qcow2, and the medium in full
    source.is_over_commit, source.available_mib = False, 4
    with pytest.raises(DestinationDiskTooSmall):
        source.check("local", "config")


def test_a_medium_is_described_by_its_content(source: Source) -> None:
    (medium,) = source.check("config").media
    assert (medium.size_bytes, medium.sha256) == (MIB, sha256(bytes(MIB)).hexdigest())
    assert new_uuid() not in medium.path


def test_the_secrets_of_encrypted_disks_are_asked_for(source: Source) -> None:
    assert source.check("root", "encrypted").needed_secrets == ["22222222-2222-4222-8222-222222222222"]
    assert source.check("root", "data").needed_secrets == []
