"""A second worker dies while the first one's work is being recovered: sampled, by a seed."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from tests.crash.enumeration import crash_at, passed
from tests.crash.scenarios import SCENARIOS, Scenario

PAIRS = 4  # of each scenario


@pytest.mark.parametrize("scenario", SCENARIOS, ids=str)
def test_a_second_crash(database: str, tmp_path: Path, scenario: Scenario) -> None:
    luck, top = random.Random(scenario.name), tmp_path / "hosts"
    for first in luck.sample(passed(scenario, top), PAIRS):
        recovery = crash_at(scenario, top, first, is_next_tried=False)
        if recovery:
            crash_at(scenario, top, first, luck.choice(recovery))
