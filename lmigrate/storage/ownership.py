"""Directories and files that a migration makes on the destination, and the proof that it made them.

A directory holds a marker file with the migration's UUID; it is made, and removed, under a
hidden name with that UUID.  A file has a second name (a hard link) that holds the UUID: it is
made first and linked to its final name, which fails if that name is taken; both names being one
inode proves later that the file is ours.  So undo removes what this migration made, at whatever
moment it was interrupted, and nothing else.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

from lmigrate.errors import DestinationDiskExists

MARKER = ".lmigrate-migration"


def claim_directory(directory: Path, migration_uuid: str, host: str) -> None:
    """Make ``directory`` ours; twice is once.

    Raises:
        DestinationDiskExists: it exists and is not ours.
    """
    if is_own_directory(directory, migration_uuid):
        return
    staging = _proof(directory, migration_uuid)
    shutil.rmtree(staging, ignore_errors=True)  # of a run that was interrupted
    staging.mkdir()
    (staging / MARKER).write_text(migration_uuid)
    if directory.exists():  # rename() would silently replace an empty directory
        shutil.rmtree(staging)
        raise DestinationDiskExists(path=directory, host=host)
    staging.rename(directory)


def is_own_directory(directory: Path, migration_uuid: str) -> bool:
    """Whether this migration made ``directory``."""
    marker = directory / MARKER
    return marker.is_file() and marker.read_text() == migration_uuid


def release_directory(directory: Path, migration_uuid: str) -> None:
    """The guest lives here now: take the marker away."""
    if is_own_directory(directory, migration_uuid):
        (directory / MARKER).unlink()


def remove_directory(directory: Path, migration_uuid: str) -> bool:
    """Remove ``directory`` with all in it if this migration made it; say whether it did."""
    staging = _proof(directory, migration_uuid)
    shutil.rmtree(staging, ignore_errors=True)
    if not is_own_directory(directory, migration_uuid):
        return False
    directory.rename(staging)  # under that name it is ours to the last file, at whatever moment we die
    shutil.rmtree(staging)
    return True


def claim_file(path: Path, migration_uuid: str, host: str, create: Callable[[Path], None]) -> None:
    """Make ``path`` with ``create`` and make it ours; twice is once.

    Raises:
        DestinationDiskExists: it exists and is not ours.
    """
    proof = _proof(path, migration_uuid)
    if _is_own_file(path, proof):
        return
    if path.exists():
        raise DestinationDiskExists(path=path, host=host)
    proof.unlink(missing_ok=True)
    create(proof)
    try:
        os.link(proof, path)
    except FileExistsError as error:
        proof.unlink()
        raise DestinationDiskExists(path=path, host=host) from error


def release_file(path: Path, migration_uuid: str) -> None:
    """The guest owns the file now: take the second name away."""
    _proof(path, migration_uuid).unlink(missing_ok=True)


def remove_file(path: Path, migration_uuid: str) -> bool:
    """Remove ``path`` if this migration made it; say whether it did."""
    proof = _proof(path, migration_uuid)
    is_own = _is_own_file(path, proof)
    if is_own:
        path.unlink()
    proof.unlink(missing_ok=True)
    return is_own


def _proof(path: Path, migration_uuid: str) -> Path:
    return path.with_name(f".{path.name}.lmigrate-{migration_uuid}")


def _is_own_file(path: Path, proof: Path) -> bool:
    return path.exists() and proof.exists() and path.samefile(proof)
