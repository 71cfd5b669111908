"""A part dies, stops or is cut off while migrations stand at their stages: each ends well by itself.

A selection that is quick enough for every commit; `make chaos-matrix` tries every fault at every stage.
"""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from tests.chaos.faults import FAULTS
from tests.chaos.herd import Herd
from tests.chaos.scene import Scene
from tests.chaos.trial import try_out

pytestmark = pytest.mark.lab


def assert_ends_well(scene: Scene, herd: Herd, faults: Sequence[str], stages: Sequence[str]) -> None:
    rows = try_out(scene, [FAULTS[fault] for fault in faults], herd.ready(stages))
    herd.drop_unfit(rows)
    told = "\n".join(f"{row.stage}: {row.outcome}: {'; '.join(row.why)}\n{row.story}" for row in rows if not row.is_good)
    assert not told, told
    assert all(row.outcome != "no target" for row in rows), "the fault hit nothing"


@pytest.mark.one_database
@pytest.mark.parametrize(
    ("faults", "stages"),
    [
        (("source daemon killed",), ("check", "middle", "post")),
        (("redis killed, without AOF",), ("pre", "arrival", "rollback")),
        (("source libvirtd killed",), ("switchover", "post")),
        (("destination QEMU killed",), ("switchover",)),
        (("destination daemon stopped", "link between hosts cut"), ("middle", "arrival")),
    ],
)
def test_a_part_breaks(scene: Scene, herd: Herd, faults: tuple[str, ...], stages: tuple[str, ...]) -> None:
    assert_ends_well(scene, herd, faults, stages)


def test_the_database_server_is_killed(scene: Scene, herd: Herd, database_kind: str) -> None:
    fault = {"postgresql": "postgresql killed", "sqlite": "conductor killed"}[database_kind]
    assert_ends_well(scene, herd, [fault], ("check", "arrival", "rollback"))
