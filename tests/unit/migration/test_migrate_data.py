"""Whether all of a guest's disks are where the guest is going."""

from __future__ import annotations

import pytest

from lmigrate.migration.migrate_data import LocalDisk, MigrateData
from lmigrate.virt.types import DiskInfo


def disk(source_type: str, *, device_name: str = "vdb", is_read_only: bool = False) -> DiskInfo:
    return DiskInfo(device_name, "disk", source_type, None, "raw", "virtio", None, is_read_only, is_shareable=False, boot_index=None)


def data(*, is_shared: bool = False, is_copied: bool = False) -> MigrateData:
    """Of a guest whose one known disk is vda."""
    known = LocalDisk(
        device_name="vda",
        path="/srv/a/disk0",
        format="raw",
        capacity_bytes=1,
        allocation_bytes=1,
        is_shared=is_shared,
        is_copied=is_copied,
    )
    return MigrateData(
        is_volume_backed=False,
        is_shared_instance_path=False,
        is_shared_block_storage=is_shared,
        block_migration=is_copied,
        source_instances_path="/srv/a",
        destination_instances_path="/srv/b",
        disk_available_bytes=0,
        disk_needed_bytes=0,
        disks=[known],
        needed_files=[],
        is_persistent=True,
        removable_files=[],
    )


@pytest.mark.parametrize(("is_shared", "is_copied", "is_known"), [(True, False, True), (False, True, True), (False, False, False)])
def test_a_known_disk(is_shared: bool, is_copied: bool, is_known: bool) -> None:
    disks = [disk("file", device_name="vda")]
    assert data(is_shared=is_shared, is_copied=is_copied).accounts_for(disks) is is_known


@pytest.mark.parametrize(
    ("source_type", "is_read_only", "is_known"),
    [
        ("volume", False, False),
        ("dir", False, False),
        ("vhostvdpa", False, False),
        ("file", False, False),  # plugged in since
        ("file", True, True),
        ("network", False, True),
        ("blank", False, True),
    ],
)
def test_a_second_disk(source_type: str, is_read_only: bool, is_known: bool) -> None:
    disks = [disk("file", device_name="vda"), disk(source_type, is_read_only=is_read_only)]
    assert data(is_shared=True).accounts_for(disks) is is_known
