"""What is wrong is seen: the verdict on a migration that went well, after something is done to its guest."""

from __future__ import annotations

from functools import partial

import pytest

from lmigrate.clock import monotonic_s
from tests.chaos.herd import Herd
from tests.chaos.scene import Run, Scene
from tests.chaos.verdict import judge, look
from tests.lab.volumes.carrier import tgtadm

pytestmark = [pytest.mark.lab, pytest.mark.one_database]

FOREIGN = "iqn.1993-08.org.debian:01:somebody"


@pytest.fixture
def run(scene: Scene, herd: Herd) -> Run:
    """A migration that has gone well, from the scene's source to its destination."""
    ((subject, stage),) = herd.ready(["check"])
    if list(subject.guest.states()) != [scene.source]:
        scene.wire.move(subject.uuid, scene.source)
    began_s = monotonic_s()
    migration = scene.wire.move(subject.uuid, scene.destination)["id"]
    made = Run(subject, stage, migration, began_s)
    assert judge(scene, made, [], monotonic_s()).outcome == "finished"
    return made


def seen(scene: Scene, run: Run) -> set[str]:
    return {kind for kind, _ in look(scene, run)[1]}


def test_what_is_wrong_is_seen(scene: Scene, run: Run) -> None:
    source, destination, uuid = scene.lab.host(scene.source), scene.lab.host(scene.destination), run.subject.uuid
    directory, mark = source.instances_dir / uuid, source.instances_dir / f".lmigrate-probe-{uuid}"
    (target,) = run.subject.carrier.targets()
    access = ["target", "--tid", str(target.tid), "--initiator-name", FOREIGN]
    definition = destination.virsh("dumpxml", "--inactive", uuid).stdout
    define = partial(source.run, ["virsh", "define", "/dev/stdin"], stdin=definition, check=True)
    contents = run.subject.contents
    for kind, do, undo in (
        ("leaked", directory.mkdir, directory.rmdir),
        ("leaked", mark.touch, mark.unlink),
        ("leaked", partial(tgtadm, scene.lab, "bind", *access), partial(tgtadm, scene.lab, "unbind", *access)),
        ("leaked", define, partial(source.virsh, "undefine", uuid)),
        ("broken", partial(destination.virsh, "suspend", uuid), partial(destination.virsh, "resume", uuid)),
        ("broken", partial(setattr, run.subject, "contents", ("other",)), partial(setattr, run.subject, "contents", contents)),
        ("lost", partial(destination.virsh, "destroy", uuid), partial(run.subject.start_again, scene.wire, destination.name)),
    ):
        do()
        assert kind in seen(scene, run)
        undo()
    assert "broken" in seen(scene, run)  # its counter began anew
