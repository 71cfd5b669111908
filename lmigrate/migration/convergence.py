"""What to do about a copy that does not end.  Pure: statistics in, (action, reason) out.

Nova's rules: the permitted pause is raised in steps, and after a time by size the
timeout's action is taken (`nova/virt/libvirt/migration.py`: downtime_steps, should_abort).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from lmigrate.config import MigrationSettings
from lmigrate.virt.types import JobStats

GIB = 1024**3


class Action(StrEnum):
    """What the monitor does."""

    WAIT = "wait"
    RAISE_DOWNTIME = "raise-downtime"
    ABORT = "abort"
    PAUSE = "pause"
    POST_COPY = "post-copy"


@dataclass(frozen=True)
class Stage:
    """What has been done about the copy so far, and what may be done."""

    downtime_ms: int | None = None  # the pause that was last permitted
    is_paused: bool = False  # we have stopped the guest
    is_completion_forced: bool = False  # somebody has asked for it
    is_post_copy_possible: bool = False  # permitted, and the move was begun with it
    is_post_copy_ordered: bool = False  # the switch was written down; it is done, or to be done now


@dataclass(frozen=True)
class Choice:
    """An action and its reason; ``downtime_ms`` goes with RAISE_DOWNTIME."""

    action: Action
    reason: str
    downtime_ms: int | None = None


def data_gib(memory_mib: int, copied_disk_bytes: list[int]) -> float:
    """GiB to move: memory and each copied disk count at least 2 (Nova: _live_migration_data_gb)."""
    return max(2.0, memory_mib / 1024) + sum(max(2.0, size / GIB) for size in copied_disk_bytes)


def downtime_steps(options: MigrationSettings, size_gib: float) -> Iterator[tuple[float, int]]:
    """(seconds from the start, permitted pause in ms), in order.

    With 50→500 ms in 10 steps and 75 s/GiB, 2 GiB: 0 s 50, 150 s 95, … 1500 s 500.
    """
    delay_s = options.downtime_delay_s * size_gib
    first, last = min(options.initial_downtime_ms, options.max_downtime_ms), options.max_downtime_ms
    offset = (last - first) / options.downtime_steps
    for number in range(options.downtime_steps + 1):
        yield delay_s * number, int(first + offset * number)


def permitted_downtime_ms(options: MigrationSettings, size_gib: float, elapsed_s: float) -> int:
    """The pause that is permitted ``elapsed_s`` after the start."""
    return max(downtime for start_s, downtime in downtime_steps(options, size_gib) if start_s <= elapsed_s)


def decide(stats: JobStats, options: MigrationSettings, *, size_gib: float, elapsed_s: float, stage: Stage) -> Choice:
    """What to do now with a copy whose guest still runs on the source, or stands there because we have paused it."""
    if stage.is_paused:  # it arrives by itself
        return _pause_that_is_permitted(stats, options, size_gib, elapsed_s, stage)
    if stage.is_post_copy_ordered:
        return _complete(stats, stage, "the switch to post-copy was ordered before")
    if stage.is_completion_forced:
        return _complete(stats, stage, "completion was asked for")
    timeout_s = options.completion_timeout_s * size_gib
    if timeout_s and elapsed_s > timeout_s:
        reason = f"not completed after {elapsed_s:.0f} s (limit {timeout_s:.0f} s for {size_gib:.0f} GiB)"
        return Choice(Action.ABORT, reason) if options.timeout_action == "abort" else _complete(stats, stage, reason)
    return _pause_that_is_permitted(stats, options, size_gib, elapsed_s, stage)


def _complete(stats: JobStats, stage: Stage, reason: str) -> Choice:
    """By post-copy, else by a pause.  QEMU switches only when it has begun with the memory: local disks are copied before."""
    if not stage.is_post_copy_possible:
        return Choice(Action.PAUSE, reason)
    return Choice(Action.POST_COPY, reason) if stats.memory_total_bytes else Choice(Action.WAIT, "")


def _pause_that_is_permitted(stats: JobStats, options: MigrationSettings, size_gib: float, elapsed_s: float, stage: Stage) -> Choice:
    wanted = permitted_downtime_ms(options, size_gib, elapsed_s)
    if wanted != stage.downtime_ms:
        return Choice(Action.RAISE_DOWNTIME, f"iteration {stats.iteration}: permit a pause of {wanted} ms", wanted)
    return Choice(Action.WAIT, "")


@dataclass
class Flow:
    """Whether a post-copy moves: what is left shrinks, or the guest asks for pages and gets them."""

    since_s: float  # monotonic; when it last moved
    has_moved: bool = False
    _seen: tuple[int, int] | None = None

    def look(self, stats: JobStats, now_s: float) -> bool:
        """Take one more look; whether it has moved since the one before."""
        seen = (stats.memory_remaining_bytes, stats.memory_processed_bytes)
        is_moving, self._seen = self._seen not in {None, seen}, seen
        if is_moving:
            self.since_s, self.has_moved = now_s, True
        return is_moving

    def still_s(self, now_s: float) -> float:
        """For how many seconds nothing has moved."""
        return now_s - self.since_s
