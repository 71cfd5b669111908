"""What a guest's lines say about its life: whether memory moved, and how long it stood still."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from statistics import median
from typing import Any

from lmigrate.lab.guests.line import TickLine

MIB_PER_PAGE = 4 / 1024


@dataclass(frozen=True)
class Heard:
    """A line with the moment of its arrival.

    Attributes:
        at_s: CLOCK_MONOTONIC of this machine in seconds.
        host: whose file it came from.
        line: what was said.
    """

    at_s: float
    host: str
    line: TickLine


@dataclass(frozen=True)
class Report:
    """A guest's life between two moments.

    Attributes:
        lines: how many were heard.
        counter_first, counter_last: counts of the first and last line; None without lines.
        missing: counts that never arrived.
        restarted: times that the counter went back or another boot began. A guest that runs on two hosts
            at once shows here too.
        bad: pages or blocks found changed.
        longest_gap_ms: longest silence between two lines.
        longest_gap_after: the count before that silence.
        period_ms: the ordinary distance between two lines (median).
        pause_ms: the longest silence less the ordinary one; what the guest lost.
        dirtied_mib_per_s: memory rewritten in that time.
        hosts: where lines came from, in order.
    """

    lines: int = 0
    counter_first: int | None = None
    counter_last: int | None = None
    missing: int = 0
    restarted: int = 0
    bad: int = 0
    longest_gap_ms: float = 0.0
    longest_gap_after: int | None = None
    period_ms: float = 0.0
    dirtied_mib_per_s: float = 0.0
    hosts: tuple[str, ...] = ()

    @property
    def pause_ms(self) -> float:
        """How much longer than usual the guest once was silent."""
        return max(0.0, self.longest_gap_ms - self.period_ms)

    @property
    def is_unbroken(self) -> bool:
        """Whether this is one guest that went on counting with its memory whole."""
        return self.lines > 0 and not (self.missing or self.restarted or self.bad)

    def to_json(self) -> dict[str, Any]:
        """Plain data, with what is computed."""
        return {**asdict(self), "pause_ms": self.pause_ms, "is_unbroken": self.is_unbroken}


def make_report(heard: Sequence[Heard]) -> Report:
    """The report over ``heard``, in order of arrival."""
    if not heard:
        return Report()
    first, last = heard[0], heard[-1]
    gaps = [(later.at_s - earlier.at_s, earlier.line.count) for earlier, later in pairwise(heard)]
    longest_s, after = max(gaps, default=(0.0, None), key=lambda gap: gap[0])
    return Report(
        lines=len(heard),
        counter_first=first.line.count,
        counter_last=last.line.count,
        missing=sum(_missing(earlier.line, later.line) for earlier, later in pairwise(heard)),
        restarted=sum(_is_restart(earlier.line, later.line) for earlier, later in pairwise(heard)),
        bad=max(item.line.bad for item in heard),
        longest_gap_ms=longest_s * 1000,
        longest_gap_after=after,
        period_ms=median([gap for gap, _ in gaps] or [0.0]) * 1000,
        dirtied_mib_per_s=_dirtied_mib_per_s(first, last),
        hosts=tuple(dict.fromkeys(item.host for item in heard)),
    )


def _is_restart(earlier: TickLine, later: TickLine) -> bool:
    return later.boot != earlier.boot or later.count <= earlier.count


def _missing(earlier: TickLine, later: TickLine) -> int:
    return 0 if _is_restart(earlier, later) else later.count - earlier.count - 1


def _dirtied_mib_per_s(first: Heard, last: Heard) -> float:
    if last.at_s <= first.at_s or last.line.boot != first.line.boot:
        return 0.0
    return (last.line.pages - first.line.pages) * MIB_PER_PAGE / (last.at_s - first.at_s)
