"""Whether one series tends to larger values than another, when neither is normally distributed."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from statistics import NormalDist


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
