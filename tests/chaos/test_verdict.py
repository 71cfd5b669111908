"""What is wrong is seen: the verdict on a migration that went well, after something is done to its guest."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

import pytest

from lmigrate.clock import monotonic_s
from lmigrate.ids import new_uuid
from tests.chaos.herd import Herd
from tests.chaos.scene import Run, Scene
from tests.chaos.verdict import judge, look
from tests.lab.volumes.carrier import change, tgtadm

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


_SECRET = "<secret ephemeral='no' private='yes'><uuid>{}</uuid><usage type='iscsi'><target>lmigrate-{}</target></usage></secret>"
_RESERVE = (
    "INSERT INTO reservations (migration_id, host, memory_mib, vcpus, disk_bytes, created_at) SELECT id, dest_host, 1, 1, 0, created_at"
)
Change = Callable[[], object]


def access_leaks(scene: Scene, run: Run, tid: int) -> Iterator[tuple[Change, Change]]:
    """Each thing that a move makes for a volume or in the records, planted and taken away again."""
    lab, node, account = scene.lab, scene.lab.host(scene.source), ["--user", "lm-planted"]
    secret, sql, storage = new_uuid(), partial(change, lab), partial(tgtadm, lab)
    define = _SECRET.format(secret, new_uuid())
    yield (
        partial(node.run, ["virsh", "secret-define", "/dev/stdin"], stdin=define, check=True),
        partial(node.virsh, "secret-undefine", secret),
    )
    storage("new", "account", *account, "--password", "planted-planted")
    yield (
        partial(storage, "bind", "account", "--tid", str(tid), *account),
        partial(storage, "unbind", "account", "--tid", str(tid), *account),
    )
    storage("delete", "account", *account)
    state = f"UPDATE volume_attachments SET state = '{{}}' WHERE instance_uuid = '{run.subject.uuid}'"
    yield partial(sql, state.format("granting")), partial(sql, state.format("granted"))
    which = f"migration_id = {run.migration}"
    yield partial(sql, f"{_RESERVE} FROM migrations WHERE id = {run.migration}"), partial(sql, f"DELETE FROM reservations WHERE {which}")


def test_what_is_left_of_access_is_seen(scene: Scene, run: Run) -> None:
    (target,) = run.subject.carrier.targets()
    for plant, take_away in access_leaks(scene, run, target.tid):
        assert look(scene, run)[1] == []
        plant()
        assert seen(scene, run) == {"leaked"}, plant
        take_away()
    assert look(scene, run)[1] == []


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
