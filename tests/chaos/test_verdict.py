"""What is wrong is seen: the verdict on a migration that went well, after something is done to its guest."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from subprocess import DEVNULL, Popen
from typing import Any

import pytest

from lmigrate.clock import monotonic_s
from lmigrate.config import HostSettings
from lmigrate.faults import HELD
from lmigrate.ids import new_uuid
from lmigrate.lab.services import PORTS
from lmigrate.storage.drivers.tgtadm import Target
from tests.chaos.herd import Herd
from tests.chaos.scene import Run, Scene
from tests.chaos.verdict import judge, look
from tests.lab.volumes.carrier import change, tgtadm
from tests.lab.wire import eventually

pytestmark = [pytest.mark.lab, pytest.mark.one_database]

FOREIGN = "iqn.1993-08.org.debian:01:somebody"


@pytest.fixture
def run(scene: Scene, herd: Herd) -> Iterator[Run]:
    """A migration that has gone well, from the scene's source to its destination; nobody sweeps up what is planted then."""
    ((subject, stage),) = herd.ready(["check"])
    if list(subject.guest.states()) != [scene.source]:
        scene.wire.move(subject.uuid, scene.source)
    began_s = monotonic_s()
    migration = scene.wire.move(subject.uuid, scene.destination)["id"]
    made = Run(subject, stage, migration, began_s)
    assert judge(scene, made, [], monotonic_s()).outcome == "finished"
    scene.lab.ctl.kill_tree("beat", signal.SIGSTOP)
    try:
        yield made
    finally:
        scene.lab.ctl.kill_tree("beat", signal.SIGCONT)


def seen(scene: Scene, run: Run) -> set[str]:
    return {kind for kind, _ in look(scene, run)[1]}


class Session:
    """The source is logged in to the guest's volume, and not let in any more: whoever takes away access does not end what goes on."""

    def __init__(self, scene: Scene, run: Run, target: Target) -> None:
        self._scene, self._run, self._target = scene, run, target
        self._initiator = HostSettings(name=scene.source).initiator
        self._process: Popen[Any] | None = None

    def begin(self) -> None:
        storage = partial(tgtadm, self._scene.lab)
        access = ["target", "--tid", str(self._target.tid), "--initiator-name", self._initiator]
        storage("bind", *access)
        self._process = self._scene.lab.host(self._scene.source).popen(self._argv(), stdout=DEVNULL)
        eventually("two hosts are logged in", lambda: self._logged_in() == {self._scene.source, self._scene.destination})
        storage("unbind", *access)

    def end(self) -> None:
        assert self._process is not None
        self._process.kill()
        self._process.wait()
        eventually("one host is logged in", lambda: self._logged_in() == {self._scene.destination})

    def _logged_in(self) -> set[str]:
        return self._run.subject.carrier.logged_in()

    def _argv(self) -> list[str]:
        (secret,) = self._run.subject.carrier.chap_secrets()
        (account,) = self._target.accounts
        portal = f"{self._scene.lab.state.addresses['ctl']}:{PORTS['tgtd']}"
        place = f"portal={portal},target={self._target.name},lun=1,initiator-name={self._initiator}"
        disk = f"driver=iscsi,node-name=volume,read-only=on,transport=tcp,{place},user={account},password-secret=chap"
        return ["qemu-storage-daemon", "--object", f"secret,id=chap,data={secret}", "--blockdev", disk]


_SECRET = "<secret ephemeral='no' private='yes'><uuid>{}</uuid><usage type='iscsi'><target>lmigrate-{}</target></usage></secret>"
_RESERVE = (
    "INSERT INTO reservations (migration_id, host, memory_mib, vcpus, disk_bytes, created_at) SELECT id, dest_host, 1, 1, 0, created_at"
)
Change = Callable[[], object]


def access_leaks(scene: Scene, run: Run, target: Target) -> Iterator[tuple[Change, Change]]:
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
        partial(storage, "bind", "account", "--tid", str(target.tid), *account),
        partial(storage, "unbind", "account", "--tid", str(target.tid), *account),
    )
    storage("delete", "account", *account)
    state = f"UPDATE volume_attachments SET state = '{{}}' WHERE instance_uuid = '{run.subject.uuid}'"
    yield partial(sql, state.format("granting")), partial(sql, state.format("granted"))
    which = f"migration_id = {run.migration}"
    yield partial(sql, f"{_RESERVE} FROM migrations WHERE id = {run.migration}"), partial(sql, f"DELETE FROM reservations WHERE {which}")
    session = Session(scene, run, target)
    yield session.begin, session.end


def test_what_is_left_of_access_is_seen(scene: Scene, run: Run) -> None:
    (target,) = run.subject.carrier.targets()
    for plant, take_away in access_leaks(scene, run, target):
        assert look(scene, run)[1] == []
        plant()
        assert seen(scene, run) == {"leaked"}, plant
        take_away()
    assert look(scene, run)[1] == []


#: table, what is changed behind everybody's back, what it was, and what is wrong then
RECORDS = (
    ("migrations", "phase = 'held'", "phase = 'ended'", "leaked"),  # held, and nobody was told
    ("migrations", "status = 'error', error = 'planted'", "status = 'completed', error = NULL", "held"),
    ("instances", "task_state = 'migrating'", "task_state = NULL", "untold"),
)


def test_an_end_that_is_none_is_seen(scene: Scene, run: Run) -> None:
    _plant_in_records(scene, run)
    _begin_another(scene, run)


def _plant_in_records(scene: Scene, run: Run) -> None:
    rows = {"migrations": f"id = {run.migration}", "instances": f"uuid = '{run.subject.uuid}'"}
    for table, planted, was, kind in RECORDS:
        for values, wanted in ((planted, {kind}), (was, set[str]())):
            change(scene.lab, f"UPDATE {table} SET {values} WHERE {rows[table]}")
            assert seen(scene, run) == wanted, values


def _begin_another(scene: Scene, run: Run) -> None:
    point = scene.arm("step.check_source.before_do", "hold")
    under_way = replace(run, migration=scene.wire.begin(run.subject.uuid, scene.source))
    eventually("the source's check is held", point.with_name(f"{point.name}{HELD}").exists)
    assert seen(scene, under_way) == {"open"}
    assert seen(scene, run) == {"untold", "leaked"}  # by the one that went well before
    scene.disarm()
    assert scene.wire.end(under_way.migration)["status"] == "completed"
    assert judge(scene, under_way, [], monotonic_s()).outcome == "finished"


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
