"""Disk images: what they are and how empty ones are made, by qemu-img."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from lmigrate import shell


@dataclass(frozen=True)
class ImageInfo:
    """One image file, without its backing chain."""

    path: str
    format: str
    capacity_bytes: int  # what the guest sees
    allocation_bytes: int  # what it takes
    backing_path: str | None
    backing_format: str | None


@dataclass(frozen=True)
class FileIdentity:
    """Enough of a file to tell whether another host's path leads to the same one."""

    path: str
    size_bytes: int
    inode: int
    mtime_ns: int

    def as_facts(self) -> dict[str, Any]:
        """As it is kept in the journal."""
        return asdict(self)


def inspect_chain(path: str) -> list[ImageInfo]:
    """An image and those below it, nearest first, as qemu-img tells.

    A running QEMU may hold them open, hence no lock (--force-share).

    Raises:
        CommandFailed: one of them is not there or not readable.
    """
    text = shell.run(["qemu-img", "info", "--force-share", "--backing-chain", "--output=json", path])
    return [_image(info) for info in json.loads(text)]


def _image(info: dict[str, Any]) -> ImageInfo:
    return ImageInfo(
        path=info["filename"],
        format=info["format"],
        capacity_bytes=info["virtual-size"],
        allocation_bytes=info["actual-size"],
        backing_path=info.get("full-backing-filename") or info.get("backing-filename"),
        backing_format=info.get("backing-filename-format"),
    )


def create(path: Path, image_format: str, capacity_bytes: int, backing: ImageInfo | None = None) -> None:
    """Make an empty image, over ``backing`` if given.

    Raises:
        CommandFailed: no room, no permission, unknown format.
    """
    over = [] if backing is None else ["-b", backing.path, "-F", backing.format]
    shell.run(["qemu-img", "create", "-q", "-f", image_format, *over, str(path), str(capacity_bytes)])


def identify(path: str) -> FileIdentity:
    """Identity of the file at ``path``.

    Raises:
        OSError: it is not there.
    """
    stat = Path(path).stat()
    return FileIdentity(path, stat.st_size, stat.st_ino, stat.st_mtime_ns)


def is_same_file(here: FileIdentity, there: FileIdentity) -> bool:
    """Whether two hosts look at one file: same inode number, size and time to the nanosecond."""
    return (here.inode, here.size_bytes, here.mtime_ns) == (there.inode, there.size_bytes, there.mtime_ns)


def digest(path: str) -> str:
    """SHA-256 of a file's content.

    Raises:
        OSError: it is not there.
    """
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
