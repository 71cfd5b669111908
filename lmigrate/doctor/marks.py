"""Finds what migrations have marked in a host's directories: guests' directories, disks, probes."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from lmigrate.states import LeakKind
from lmigrate.storage import ownership, probe

_UUID = r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
_PROBE = re.compile(re.escape(probe.name_for("")) + f"({_UUID})")
_PROOF = re.compile(rf"\.(?P<name>.+)\.lmigrate-(?P<mark>{_UUID})", re.DOTALL)


@dataclass(frozen=True)
class Marked:
    """One thing with a mark."""

    kind: LeakKind
    path: Path  # what is marked; of a file that has no other name yet, its marked name
    migration_uuid: str
    changed_at: datetime  # of a directory, the newest of it and of all in it

    def is_in_use(self, used: Iterable[Path]) -> bool:
        """Whether one of these paths is it, or lies in it."""
        return any(path == self.path or self.path in path.parents for path in used)


def find(directories: Iterable[Path]) -> list[Marked]:
    """Everything marked directly in these directories; a directory that is gone has nothing."""
    return [marked for directory in dict.fromkeys(directories) for marked in _in(directory)]


def remove(marked: Marked) -> None:
    """Take it away, if it still carries the mark; absent is success."""
    if marked.kind is LeakKind.PROBE:
        probe.remove_probes([marked.path.parent], marked.migration_uuid)
    elif marked.kind is LeakKind.DIRECTORY:
        ownership.remove_directory(marked.path, marked.migration_uuid)
    else:
        ownership.remove_file(marked.path, marked.migration_uuid)


def release(marked: Marked) -> None:
    """Take only the mark away."""
    if marked.kind is LeakKind.DIRECTORY:
        ownership.release_directory(marked.path, marked.migration_uuid)
    else:
        ownership.release_file(marked.path, marked.migration_uuid)


def _in(directory: Path) -> Iterator[Marked]:
    try:
        entries = sorted(os.scandir(directory), key=lambda entry: entry.name)
    except (FileNotFoundError, NotADirectoryError):
        return
    for entry in entries:
        try:
            found = _of_name(Path(entry.path)) or _of_marker(entry)
        except FileNotFoundError:  # it went while we looked: somebody is at work on it
            continue
        if found is not None:
            yield found


def _of_name(path: Path) -> Marked | None:
    """A probe, or the second name of a file or directory that is being made or removed."""
    probed, proof = _PROBE.fullmatch(path.name), _PROOF.fullmatch(path.name)
    if probed is not None:
        return Marked(LeakKind.PROBE, path, probed[1], _changed_at(path))
    if proof is None:
        return None
    kind = LeakKind.DIRECTORY if path.is_dir() else LeakKind.FILE
    return Marked(kind, path.with_name(proof["name"]), proof["mark"], _changed_at(path))


def _of_marker(entry: os.DirEntry[str]) -> Marked | None:
    marker = Path(entry.path) / ownership.MARKER
    if not entry.is_dir(follow_symlinks=False) or not marker.is_file():
        return None
    mark = marker.read_text(encoding="utf-8", errors="replace").strip()
    return Marked(LeakKind.DIRECTORY, Path(entry.path), mark, _changed_at(Path(entry.path)))


def _changed_at(path: Path) -> datetime:
    """When it, or anything below it, was last written or put there.

    What was brought by `rsync -a`, `cp -p` or `mv` says when it was written elsewhere; only the time
    of the last change of its inode, which nobody can set, says when it came here.
    """
    below = [Path(top) / name for top, directories, files in os.walk(path) for name in (*directories, *files)]
    stats = [one.lstat() for one in (path, *below)]
    return datetime.fromtimestamp(max(max(stat.st_mtime, stat.st_ctime) for stat in stats), UTC)
