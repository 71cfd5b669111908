"""Whether one series tends to larger values than another, and by how much, when neither is normally distributed."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from statistics import NormalDist, median


def chance_that_not_larger(ours: Sequence[float], theirs: Sequence[float]) -> float:
    """The one-sided p of Mann and Whitney's rank test, corrected for ties.

    How likely ``ours`` would rank as high as it does if both came from one distribution:
    near 0 it does tend to larger values, at 0.5 nothing speaks for either, near 1 it
    tends to smaller ones.  By the normal approximation, which is good from about ten values each.
    """
    mine, its = len(ours), len(theirs)
    wins = sum((one > other) + (one == other) / 2 for one in ours for other in theirs)
    total = mine + its
    ties = sum(count**3 - count for count in Counter([*ours, *theirs]).values())
    variance = mine * its / 12 * (total + 1 - ties / (total * (total - 1)))
    if variance == 0:  # all values are one
        return 0.5
    return 1 - NormalDist().cdf((wins - mine * its / 2 - 0.5) / math.sqrt(variance))


def shift(ours: Sequence[float], theirs: Sequence[float], confidence: float = 0.95) -> tuple[float, float, float]:
    """By how much ``ours`` is larger: the least, the likeliest (Hodges and Lehmann's) and the most, with that confidence."""
    differences = sorted(one - other for one in ours for other in theirs)
    mine, its = len(ours), len(theirs)
    spread = NormalDist().inv_cdf((1 + confidence) / 2) * math.sqrt(mine * its * (mine + its + 1) / 12)
    cut = max(0, math.floor(mine * its / 2 - spread))
    return differences[cut], median(differences), differences[-1 - cut]
