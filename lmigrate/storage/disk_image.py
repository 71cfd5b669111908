"""Disk images: what they are and how empty ones are made, by qemu-img."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from lmigrate import shell
from lmigrate.errors import RequestError


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


class ImageUnusable(RequestError):
    """Image {path} cannot be moved: {reason}"""


def inspect_chain(path: str, image_format: str) -> list[ImageInfo]:
    """An image of a format that is known, and those below it, nearest first.

    No format is ever guessed from content: a guest may write any header into a raw disk, and
    it would be opened here as root with all that it names (CVE-2024-32498).

    Raises:
        ImageUnusable: one of them is not there, or names what is not followed.
        CommandFailed: qemu-img cannot read it.
    """
    if not path.startswith("/"):  # to qemu-img "nbd://…", "json:…" and "-o" are not files
        raise ImageUnusable(path=path, reason="it is not an absolute path of the host")
    image = _inspect(path, image_format)
    if image.backing_path is None:
        return [image]
    if not image.backing_path.startswith("/"):
        raise ImageUnusable(path=path, reason=f"its backing file {image.backing_path} is not an absolute path of the host")
    if image.backing_format is None:
        raise ImageUnusable(path=path, reason=f"it does not say the format of its backing file {image.backing_path}")
    return [image, *inspect_chain(image.backing_path, image.backing_format)]


def _inspect(path: str, image_format: str) -> ImageInfo:
    try:
        stat = Path(path).stat()
    except OSError as error:
        raise ImageUnusable(path=path, reason=error.strerror) from error
    if image_format == "raw":
        return ImageInfo(path, "raw", stat.st_size, stat.st_blocks * 512, None, None)
    # a running QEMU may hold it open, hence no lock
    info = json.loads(shell.run(["qemu-img", "info", "--force-share", "-f", image_format, "--output=json", path]))
    if info.get("format-specific", {}).get("data", {}).get("data-file"):
        raise ImageUnusable(path=path, reason="it has an external data file")
    return _image(info)


def _image(info: dict[str, Any]) -> ImageInfo:
    return ImageInfo(
        path=info["filename"],
        format=info["format"],
        capacity_bytes=info["virtual-size"],
        allocation_bytes=info["actual-size"],
        backing_path=info.get("backing-filename"),
        backing_format=info.get("backing-filename-format"),
    )


def create(path: Path, image_format: str, capacity_bytes: int, backing: ImageInfo | None = None) -> None:
    """Make an empty image, over ``backing`` if given.

    Raises:
        CommandFailed: no room, no permission, unknown format.
    """
    over = [] if backing is None else ["-b", backing.path, "-F", backing.format]
    shell.run(["qemu-img", "create", "-q", "-f", image_format, *over, str(path), str(capacity_bytes)])
    path.chmod(0o600)  # what a guest writes is nobody else's to read; libvirt gives it to QEMU's user


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
