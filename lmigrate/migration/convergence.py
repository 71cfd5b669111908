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


def decide(
    stats: JobStats, options: MigrationSettings, *, size_gib: float, elapsed_s: float, downtime_ms: int | None, is_paused: bool
) -> Choice:
    """What to do now; ``downtime_ms`` is what was last set, ``is_paused`` whether we stopped the guest."""
    timeout_s = options.completion_timeout_s * size_gib
    if timeout_s and elapsed_s > timeout_s and not is_paused:
        reason = f"not completed after {elapsed_s:.0f} s (limit {timeout_s:.0f} s for {size_gib:.0f} GiB)"
        return Choice(Action.ABORT if options.timeout_action == "abort" else Action.PAUSE, reason)
    wanted = permitted_downtime_ms(options, size_gib, elapsed_s)
    if wanted != downtime_ms:
        return Choice(Action.RAISE_DOWNTIME, f"iteration {stats.iteration}: permit a pause of {wanted} ms", wanted)
    return Choice(Action.WAIT, "")
