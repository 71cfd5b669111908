"""A worker dies at every point that is another one over shared storage, for a transient guest, or when more goes wrong."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.crash.enumeration import SLICES, crash_slice
from tests.crash.scenarios import SCENARIOS, Scenario


@pytest.mark.timeout(600)
@pytest.mark.parametrize("number", range(SLICES))
@pytest.mark.parametrize("scenario", [scenario for scenario in SCENARIOS if scenario.works is not None], ids=str)
def test_every_point(database: str, database_kind: str, tmp_path: Path, scenario: Scenario, number: int) -> None:
    crash_slice(scenario, number, tmp_path / "hosts", database_kind)
