"""A part dies, stops or is cut off while migrations stand at their stages: each ends well by itself.

A selection that is quick enough for every commit; `make chaos-matrix` tries every fault at every stage.
"""

from __future__ import annotations

import signal
from collections.abc import Sequence

import pytest

from lmigrate.clock import monotonic_s
from tests.chaos.faults import FAULTS
from tests.chaos.herd import Herd
from tests.chaos.scene import Scene
from tests.chaos.stages import STAGES, begin, lift_limit
from tests.chaos.trial import try_out
from tests.chaos.verdict import judge
from tests.lab.wire import eventually

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


@pytest.mark.one_database
def test_both_libvirtds_are_killed_when_all_is_sent(scene: Scene, herd: Herd) -> None:
    """Nobody has told the source that the destination runs the guest: its libvirtd leaves it stopped, the destination's ends what has come.

    What `Move.is_forgotten` of the fake is.
    """
    ((subject, stage),) = herd.ready(["middle"])
    if list(subject.guest.states()) != [scene.source]:
        scene.wire.move(subject.uuid, scene.source)
    source, destination = scene.lab.host(scene.source), scene.lab.host(scene.destination)
    run = begin(scene, subject, STAGES[stage])
    destination.kill_tree("libvirtd", signal.SIGSTOP)
    lift_limit(scene, run, source.name)
    status = source.file(f"/run/libvirt/qemu/{subject.guest.spec.name}.xml")
    eventually("all is sent", lambda: "phase='perform3_done'" in status.read_text(), 60)
    for node in (source, destination):
        node.kill_tree("libvirtd")
        scene.lab.start_daemon("libvirtd", node.name)
    scene.wait_back()
    row = judge(scene, run, [], monotonic_s())
    assert row.outcome == "undone", f"{row.why}\n{row.story}"
    events = [str(event["details"]) for event in scene.wire.end(run.migration)["events"]]
    assert "not-moved: stopped in the middle of the switchover; the destination has nothing" in events


def test_the_database_server_is_killed(scene: Scene, herd: Herd, database_kind: str) -> None:
    fault = {"postgresql": "postgresql killed", "sqlite": "conductor killed"}[database_kind]
    assert_ends_well(scene, herd, [fault], ("check", "arrival", "rollback"))
