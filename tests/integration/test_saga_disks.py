"""Images with a backing file: only the top layer is copied where the files below are the very same."""

from __future__ import annotations

from pathlib import Path

import pytest

from lmigrate import shell
from lmigrate.db.models import BlockDeviceMapping
from lmigrate.db.session import writing
from lmigrate.states import MigrationStatus
from lmigrate.storage import disk_image
from lmigrate.virt.fake_move import Move
from tests.integration.cluster import DISK_BYTES, Cluster
from tests.integration.mail import Message, name_of


@pytest.fixture
def cluster(database: str, tmp_path: Path) -> Cluster:
    return Cluster(tmp_path / "hosts", "node5", "node6")


@pytest.fixture
def base(tmp_path: Path) -> Path:
    """An image that both hosts have at the same path."""
    disk_image.create(tmp_path / "base.qcow2", "qcow2", DISK_BYTES)
    return tmp_path / "base.qcow2"


def boot_over(cluster: Cluster, base: Path) -> str:
    """A guest whose disk lies over ``base``."""
    uuid = cluster.boot("node5")
    disk = cluster.instances("node5") / uuid / "disk0"
    disk.unlink()
    disk_image.create(disk, "qcow2", DISK_BYTES, disk_image.ImageInfo(str(base), "qcow2", 0, 0, None, None))
    domain = cluster.world.domain("node5", uuid)
    domain.active_xml = domain.inactive_xml = domain.xml.replace("type='raw'", "type='qcow2'")
    with writing() as session:
        session.query(BlockDeviceMapping).filter_by(instance_uuid=uuid).one().format = "qcow2"
    return uuid


def copy_modes(cluster: Cluster) -> list[str]:
    modes: list[str] = []
    cluster.world.at("begin", lambda move: modes.append(move.spec.copy_mode))
    return modes


def test_the_same_base_is_not_copied(cluster: Cluster, base: Path) -> None:
    modes, made = copy_modes(cluster), list[list[disk_image.ImageInfo]]()
    uuid = boot_over(cluster, base)
    there = cluster.instances("node6") / uuid / "disk0"
    cluster.world.at("begin", lambda _move: made.append(disk_image.inspect_chain(str(there), "qcow2")))
    cluster.check_moved(cluster.migrate(uuid, "node6"), "node5", "node6")
    assert modes == ["inc"]
    assert [(image.path, image.capacity_bytes) for image in made[0]] == [(str(there), DISK_BYTES), (str(base), DISK_BYTES)]


def test_another_base_of_that_name_is(cluster: Cluster, base: Path) -> None:
    """The top layer over another base is a corrupt disk: everything goes into one flat image."""
    modes, made = copy_modes(cluster), list[list[disk_image.ImageInfo]]()
    uuid = boot_over(cluster, base)
    there = cluster.instances("node6") / uuid / "disk0"

    def other_host_has_another(message: Message) -> int:
        if name_of(message) == "pre_live_migration":
            content = base.read_bytes()
            base.unlink()
            base.write_bytes(content)
        return 1

    cluster.mail.copies = other_host_has_another
    cluster.world.at("begin", lambda _move: made.append(disk_image.inspect_chain(str(there), "qcow2")))
    migration = cluster.migrate(uuid, "node6")
    assert migration.status is MigrationStatus.COMPLETED
    assert modes == ["full"]
    assert len(made[0]) == 1


@pytest.mark.parametrize(
    ("disk", "reason"),
    [
        ("<disk type='volume' device='disk'><source pool='default' volume='root.qcow2'/>{}", "of type volume"),
        ("<disk type='dir' device='floppy'><source dir='/srv/floppy'/>{}", "of type dir"),
        ("<disk type='vhostvdpa' device='disk'><source dev='/dev/vhost-vdpa-0'/>{}", "of type vhostvdpa"),
        ("<disk type='block' device='cdrom'><source dev='/dev/sr0'/><readonly/>{}", "a block device of the host (/dev/sr0)"),
        ("<disk type='network' device='lun'><source protocol='iscsi' name='iqn.2026-11.org.example:a/1'/>{}", "a SCSI LUN"),
    ],
)
def test_a_disk_that_would_be_left_behind_is_refused(cluster: Cluster, disk: str, reason: str) -> None:
    """libvirt itself would not object: it is told that all disks were seen on the destination."""
    uuid = cluster.boot("node5")
    domain = cluster.world.domain("node5", uuid)
    described = disk.format("<target dev='vdz' bus='virtio'/></disk></devices>")
    domain.active_xml = domain.inactive_xml = domain.xml.replace("</devices>", described)
    before = cluster.snapshot()
    migration = cluster.migrate(uuid, "node6")
    assert migration.error_code == "NotMigratable"
    assert f"disk vdz is {reason}" in (migration.error or "").replace("passed through as ", "")
    assert cluster.snapshot() == before


@pytest.mark.parametrize(
    ("mode", "remedy"),
    [("push", "wait for its end, or cancel it (virsh domjobabort)"), ("pull", "whoever reads it ends it (virsh domjobabort)")],
)
def test_a_backup_of_its_disks_is_waited_for(cluster: Cluster, mode: str, remedy: str) -> None:
    uuid = cluster.boot("node5", disks=2)
    guest = cluster.world.domain("node5", uuid)
    guest.begin_backup(mode)
    before = cluster.snapshot()
    migration = cluster.migrate(uuid, "node6")
    assert (migration.status, migration.error_code) == (MigrationStatus.FAILED, "NotMigratable")
    assert f"a backup of vda, vdb runs ({mode} mode)" in (migration.error or "")
    assert (migration.error or "").endswith(remedy)
    assert cluster.snapshot() == before
    guest.end_backup()
    cluster.check_moved(cluster.migrate(uuid, "node6"), "node5", "node6")


def test_a_log_outside_of_the_guests_directory_stays(cluster: Cluster) -> None:
    uuid = cluster.boot("node5")
    own = cluster.instances("node5") / uuid
    outside = cluster.top / "console.log"
    outside.write_text("another guest's")
    domain = cluster.world.domain("node5", uuid)
    hidden = f"{own}/../../../console.log"
    domain.active_xml = domain.inactive_xml = domain.xml.replace("</devices>", f"<console><log file='{hidden}'/></console></devices>")
    assert cluster.migrate(uuid, "node6").status is MigrationStatus.COMPLETED
    assert outside.read_text() == "another guest's"


def test_a_header_that_the_guest_wrote_is_content(cluster: Cluster, base: Path) -> None:
    """Neither is the file that it names opened, nor is the destination's image made in its format."""
    uuid = cluster.boot("node5")
    disk = cluster.instances("node5") / uuid / "disk0"
    base.unlink()  # so that whoever opened it would fail
    header = cluster.top / "header"
    disk_image.create(header, "qcow2", DISK_BYTES)
    shell.run(["qemu-img", "rebase", "-u", "-f", "qcow2", "-b", str(base), "-F", "qcow2", str(header)])
    disk.write_bytes(header.read_bytes().ljust(DISK_BYTES, b"\0"))
    header.unlink()
    content = disk.read_bytes()
    cluster.check_moved(cluster.migrate(uuid, "node6"), "node5", "node6")
    assert (cluster.instances("node6") / uuid / "disk0").read_bytes() == content


def test_the_destinations_directory_is_full(cluster: Cluster) -> None:
    uuid = cluster.boot("node5")
    before = cluster.snapshot()

    def no_room(move: Move) -> None:
        raise move.error("No space left on device")

    cluster.world.at("copying", no_room)
    migration = cluster.migrate(uuid, "node6")
    assert "No space left" in (migration.error or "")
    assert cluster.snapshot() == before


def test_a_file_that_the_guest_needs_is_missing_there(cluster: Cluster, tmp_path: Path) -> None:
    iso = tmp_path / "install.iso"
    iso.write_bytes(b"iso")
    uuid = cluster.boot("node5")
    domain = cluster.world.domain("node5", uuid)
    cdrom = f"<disk type='file' device='cdrom'><source file='{iso}'/><target dev='sda' bus='sata'/><readonly/></disk></devices>"
    domain.active_xml = domain.inactive_xml = domain.xml.replace("</devices>", cdrom)
    before = cluster.snapshot()

    def other_host_lacks_it(message: Message) -> int:
        if name_of(message) == "pre_live_migration":
            iso.unlink()
        return 1

    cluster.mail.copies = other_host_lacks_it
    migration = cluster.migrate(uuid, "node6")
    assert f"node6 has no {iso}, which the guest uses as its cdrom sda" in (migration.error or "")
    assert cluster.snapshot() == before
