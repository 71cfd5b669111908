"""A short soak, and the plan that a seed names."""

from __future__ import annotations

import pytest

from tests.chaos.faults import FAULTS
from tests.chaos.scene import Scene
from tests.chaos.soak import KINDS, plan_rounds, run_soak, show
from tests.chaos.stages import STAGES

SHORT = ("small", "paused")
#: three rounds whose faults all have something to hit: a libvirtd that stands still while the link is cut, then the beat killed
#: at a rollback, then the API, on the way back
SEED, ROUNDS = 55815, 3


def test_a_seed_names_a_plan() -> None:
    planned = plan_rounds(7, 200, "postgresql")
    assert plan_rounds(7, 200, "postgresql") == planned
    assert plan_rounds(7, 20, "postgresql") == planned[:20]
    assert plan_rounds(8, 200, "postgresql") != planned
    assert {fault for one in planned for fault in one.faults} == set(FAULTS)
    assert {stage for one in planned for _, stage in one.moves} == set(STAGES)
    assert {guest for one in planned for guest, _ in one.moves} == set(range(len(KINDS)))


def test_a_plan_breaks_only_what_is_there() -> None:
    planned = plan_rounds(7, 200, "sqlite")
    assert not [fault for one in planned for fault in one.faults if FAULTS[fault].needs == "postgresql"]


@pytest.mark.lab
@pytest.mark.one_database
def test_a_short_soak(scene: Scene) -> None:
    said: list[str] = []
    rows = run_soak(scene, plan_rounds(SEED, ROUNDS, "sqlite", SHORT), said.append, SHORT)
    told = "\n".join([*said, show(rows, SEED, 0)])
    assert all(row.is_good for row in rows), told
    assert all(row.outcome != "no target" for row in rows), told
