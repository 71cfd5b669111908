"""Images, by the real qemu-img."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from lmigrate import shell
from lmigrate.errors import Fault, LmigrateError
from lmigrate.storage import disk_image

MIB = 1 << 20


def test_a_chain_is_told_nearest_first(tmp_path: Path) -> None:
    base, middle, top = (tmp_path / name for name in ("base", "middle", "top"))
    disk_image.create(base, "raw", 4 * MIB)
    disk_image.create(middle, "qcow2", 4 * MIB, disk_image.ImageInfo(str(base), "raw", 0, 0, None, None))
    disk_image.create(top, "qcow2", 8 * MIB, disk_image.ImageInfo(str(middle), "qcow2", 0, 0, None, None))
    chain = disk_image.inspect_chain(str(top), "qcow2")
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
    with pytest.raises(LmigrateError, match=missing):
        disk_image.inspect_chain(str(top), "qcow2")


def test_a_raw_disk_has_no_chain_whatever_the_guest_wrote_into_it(tmp_path: Path) -> None:
    """A guest owns every byte of its raw disk: a header in there must not make root open the file that it names."""
    bait, disk = tmp_path / "bait", tmp_path / "disk0"
    disk_image.create(bait, "raw", MIB)
    disk_image.create(disk, "qcow2", 64 * MIB, disk_image.ImageInfo(str(bait), "raw", 0, 0, None, None))
    os.truncate(disk, 4 * MIB)
    (image,) = disk_image.inspect_chain(str(disk), "raw")
    assert (image.format, image.capacity_bytes, image.backing_path) == ("raw", 4 * MIB, None)
    assert 0 < image.allocation_bytes < 4 * MIB


@pytest.mark.parametrize(
    ("backing", "arguments", "reason"),
    [
        ("base", ["-F", "raw"], "not an absolute path"),
        ("nbd:unix:/run/x", ["-F", "raw"], "not an absolute path"),
        ('json:{"driver":"file","filename":"/x"}', ["-F", "raw"], "not an absolute path"),
        ("/x/base", [], "does not say the format"),
    ],
)
def test_a_backing_file_that_is_not_followed(tmp_path: Path, backing: str, arguments: list[str], reason: str) -> None:
    top = tmp_path / "top"
    disk_image.create(top, "qcow2", MIB)
    shell.run(["qemu-img", "rebase", "-u", "-f", "qcow2", "-b", backing, *(arguments or ["-F", "raw"]), str(top)])
    if not arguments:
        top.write_bytes(_without_backing_format(top.read_bytes()))
    with pytest.raises(disk_image.ImageUnusable, match=reason) as error:
        disk_image.inspect_chain(str(top), "qcow2")
    assert error.value.fault is Fault.REQUEST  # another host cannot help


def _without_backing_format(image: bytes) -> bytes:
    """A qcow2 file whose header extension for the format of the backing file (0xE2792ACA) is of a kind that nobody knows."""
    return image.replace(b"\xe2\x79\x2a\xca", b"\x12\x34\x56\x78", 1)


def test_an_external_data_file_is_refused(tmp_path: Path) -> None:
    top = tmp_path / "top"
    shell.run(["qemu-img", "create", "-q", "-f", "qcow2", "-o", f"data_file={tmp_path}/data", str(top), str(MIB)])
    with pytest.raises(disk_image.ImageUnusable, match="external data file"):
        disk_image.inspect_chain(str(top), "qcow2")


@pytest.mark.parametrize("image_format", ["raw", "qcow2"])
def test_an_image_is_nobody_elses_to_read(tmp_path: Path, image_format: str) -> None:
    disk_image.create(tmp_path / "disk0", image_format, MIB)
    assert (tmp_path / "disk0").stat().st_mode & 0o777 == 0o600


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
