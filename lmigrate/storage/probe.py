"""The temporary file by which two hosts find out whether a directory is shared between them.

The destination writes it, the source looks for it.  Its name holds the migration's UUID,
so that whoever cleans up knows whose it is.  (Nova: `_create_shared_storage_test_file`.)
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path


def name_for(migration_uuid: str) -> str:
    """File name of a migration's probe."""
    return f".lmigrate-probe-{migration_uuid}"


def write_probes(directories: Iterable[Path], migration_uuid: str) -> list[str]:
    """Write a probe into each directory that exists here; return those directories.

    Raises:
        OSError: a directory exists but cannot be written.
    """
    existing = [directory for directory in directories if directory.is_dir()]
    for directory in existing:
        (directory / name_for(migration_uuid)).write_text(migration_uuid)
    return [str(directory) for directory in existing]


def remove_probes(directories: Iterable[Path], migration_uuid: str) -> None:
    """Remove the probes; absent ones are fine, and so is a file where a directory was expected."""
    for directory in directories:
        with suppress(FileNotFoundError, NotADirectoryError):
            (directory / name_for(migration_uuid)).unlink()


def is_seen(directory: Path, migration_uuid: str) -> bool:
    """Whether the other host's probe shows here.

    The directory's times are touched first: an NFS client may otherwise answer from a view
    that is up to 30 s old (Nova bug 1617299).
    """
    if not directory.is_dir():
        return False
    os.utime(directory)
    return (directory / name_for(migration_uuid)).exists()
