"""A worker dies at every point of a migration that copies a disk and a config drive and has a volume: healthy, and undone."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.crash.enumeration import SLICES, crash_slice
from tests.crash.scenarios import BY_NAME


@pytest.mark.timeout(600)
@pytest.mark.parametrize("number", range(SLICES))
@pytest.mark.parametrize("name", ["private-moves", "private-fails"])
def test_every_point(database: str, database_kind: str, tmp_path: Path, name: str, number: int) -> None:
    crash_slice(BY_NAME[name], number, tmp_path / "hosts", database_kind)
