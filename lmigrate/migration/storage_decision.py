"""Whether disks are copied: Nova's decision table, with its messages.  Pure.

Nova's P (shared instances path) and B (shared block storage) are one question here: does
every writable local disk lie where the destination's own probe was seen?
"""

from __future__ import annotations

from lmigrate.errors import InvalidLocalStorage, InvalidSharedStorage


def decide_block_migration(requested: bool | None, *, is_on_shared_storage: bool, source_host: str) -> bool:  # noqa: FBT001 - Nova's tri-state
    """Whether this migration copies disks; ``requested`` None is "auto".

    Raises:
        InvalidLocalStorage: copying was asked for, but there is nothing to copy.
        InvalidSharedStorage: not copying was asked for, but a disk would be left behind.
    """
    if requested is None:
        return not is_on_shared_storage
    if requested and is_on_shared_storage:
        raise InvalidLocalStorage(path=source_host, reason="Block migration can not be used with shared storage.")
    if not requested and not is_on_shared_storage:
        raise InvalidSharedStorage(
            path=source_host,
            reason="Shared storage live-migration requires either shared storage or boot-from-volume with no local disks.",
        )
    return requested
