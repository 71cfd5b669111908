"""The rank test, against figures that others have published."""

from __future__ import annotations

import pytest

from benchmarks.ranks import chance_that_not_larger

#: ages of men and women at a diagnosis: the example of SciPy's `mannwhitneyu`, p = 0.1113 by the same approximation, for both sides
MEN, WOMEN = [19, 22, 16, 29, 24], [20, 11, 17, 12]
MODES = [7.9, 8.4, 40.1, 43.5] * 6


def test_a_published_example() -> None:
    assert chance_that_not_larger(MEN, WOMEN) == pytest.approx(0.1113 / 2, abs=0.0001)


def test_the_same_speaks_for_neither() -> None:
    assert chance_that_not_larger(MODES, MODES) == pytest.approx(0.5, abs=0.02)
    assert chance_that_not_larger([1.0] * 10, [1.0] * 10) == 0.5


def test_a_pause_that_is_longer_in_each_mode_shows() -> None:
    assert chance_that_not_larger([one + 10 for one in MODES], MODES) < 0.01
    assert chance_that_not_larger(MODES, [one + 10 for one in MODES]) > 0.99
