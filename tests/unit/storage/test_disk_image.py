"""Images, by the real qemu-img."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from lmigrate.shell import CommandFailed
from lmigrate.storage import disk_image

MIB = 1 << 20


def test_a_chain_is_told_nearest_first(tmp_path: Path) -> None:
    base, middle, top = (tmp_path / name for name in ("base", "middle", "top"))
    disk_image.create(base, "raw", 4 * MIB)
    disk_image.create(middle, "qcow2", 4 * MIB, disk_image.ImageInfo(str(base), "raw", 0, 0, None, None))
    disk_image.create(top, "qcow2", 8 * MIB, disk_image.ImageInfo(str(middle), "qcow2", 0, 0, None, None))
    chain = disk_image.inspect_chain(str(top))
    assert [(image.path, image.format, image.capacity_bytes) for image in chain] == [
        (str(top), "qcow2", 8 * MIB),
        (str(middle), "qcow2", 4 * MIB),
        (str(base), "raw", 4 * MIB),
    ]
    assert [image.backing_path for image in chain] == [str(middle), str(base), None]


@pytest.mark.parametrize("missing", ["top", "base"])
def test_a_missing_image_is_named(tmp_path: Path, missing: str) -> None:
    base, top = tmp_path / "base", tmp_path / "top"
    disk_image.create(base, "raw", MIB)
    disk_image.create(top, "qcow2", MIB, disk_image.ImageInfo(str(base), "raw", 0, 0, None, None))
    (tmp_path / missing).unlink()
    with pytest.raises(CommandFailed, match=missing):
        disk_image.inspect_chain(str(top))


def test_identity(tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    one.write_bytes(b"abc")
    shutil.copy2(one, two)
    os.link(one, tmp_path / "same")
    here = disk_image.identify(str(one))
    assert disk_image.is_same_file(here, disk_image.identify(str(tmp_path / "same")))
    # the same name, size, time and content on another host is another file: its inode differs
    assert not disk_image.is_same_file(here, disk_image.identify(str(two)))
    assert disk_image.digest(str(one)) == disk_image.digest(str(two))
    with pytest.raises(FileNotFoundError):
        disk_image.identify(str(tmp_path / "absent"))
