"""The rank test, against figures that others have published."""

from __future__ import annotations

import pytest

from benchmarks.ranks import chance_that_not_larger, shift

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


def test_the_shift_is_found_and_lies_within_its_bounds() -> None:
    least, likeliest, most = shift([one + 3 for one in MODES], MODES)
    assert likeliest == pytest.approx(3)
    assert least <= 3 <= most


def test_more_values_bound_the_shift_more_closely() -> None:
    few, many = [float(one) for one in range(10)], [one / 10 for one in range(100)]
    assert shift(many, many)[2] - shift(many, many)[0] < shift(few, few)[2] - shift(few, few)[0]


def test_too_few_values_bound_nothing() -> None:
    assert shift([1.0, 2.0], [1.0]) == (0.0, 0.5, 1.0)
