"""Where a migration stands when something breaks.  Each is reached exactly: by a fail point that holds it, or by slowing its own copy."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from subprocess import DEVNULL, Popen
from typing import Any

import libvirt

from lmigrate.clock import monotonic_s
from lmigrate.faults import HELD
from tests.chaos.scene import Run, Scene
from tests.chaos.subject import Subject
from tests.lab.wire import eventually, story

REACH_DEADLINE_S = 60.0
_SLOW_MIB_S, _FAST_MIB_S = "1", "1024"
_MIDDLE_BYTES = 4 << 20
_LONG_PAUSE_MS = 120_000

Act = Callable[[Scene, Subject], None]


@dataclass(frozen=True)
class Stage:
    """A place on the way.

    Attributes:
        points: fail points that are armed before the request, and what they do.
        is_slow: the copy is limited, so that it is still under way.
        reach: waits, and helps, until the migration stands there.
    """

    name: str
    points: tuple[tuple[str, str], ...]
    reach: Callable[[Scene, Run], None]
    is_slow: bool = False


def begin(scene: Scene, subject: Subject, stage: Stage) -> Run:
    """Ask for a migration and return when it stands at its stage."""
    subject.let_run(scene.wire)
    if stage.is_slow:
        scene.lab.host(scene.source).virsh("migrate-setspeed", subject.uuid, _SLOW_MIB_S)
    for point, action in stage.points:
        scene.arm(point, action)
    began_s = monotonic_s()
    run = Run(subject, stage.name, scene.wire.begin(subject.uuid, scene.destination), began_s)
    stage.reach(scene, run)
    return run


@contextmanager
def released(scene: Scene) -> Iterator[None]:
    """Whoever is held or slowed goes on as it would have, as soon as it can: its libvirtd may be stopped until the end of the block."""
    scene.disarm()
    hurrying = [_hurry(scene, run) for run in scene.runs if STAGES[run.stage].is_slow]
    yield
    for process in hurrying:
        process.communicate(timeout=REACH_DEADLINE_S)


def lift_limit(scene: Scene, run: Run, host: str) -> None:
    """The next copy of this guest is not slowed: what hurried this one may have come too late."""
    if STAGES[run.stage].is_slow:
        scene.lab.host(host).virsh("migrate-setspeed", run.subject.uuid, _FAST_MIB_S)


def _hurry(scene: Scene, run: Run) -> Popen[Any]:
    """Its exit code says nothing: without libvirtd, or without QEMU, nothing is slow either."""
    pid = scene.qemu(scene.destination, run.subject.uuid)
    if pid is not None and run.stage == "switchover" and not run.is_stopped:
        os.kill(pid, signal.SIGCONT)
    virsh = ["virsh", "--quiet", "--connect", "qemu:///system", "migrate-setspeed", run.subject.uuid, _FAST_MIB_S]
    return scene.lab.host(scene.source).popen(virsh, stdout=DEVNULL, stderr=DEVNULL)


def _held(point: str) -> Callable[[Scene, Run], None]:
    def reach(scene: Scene, run: Run) -> None:
        path = scene.lab.faults_dir / (point + HELD)
        _wait(scene, run, f"{run.stage} is reached", path.exists)

    return reach


def _arrives(scene: Scene, run: Run) -> None:
    """The destination has a domain that waits for its memory."""
    node = scene.lab.host(scene.destination)
    _wait(scene, run, "the copy has begun", lambda: node.virsh("domstate", run.subject.uuid, check=False).stdout.strip() == "paused")


def _wait(scene: Scene, run: Run, what: str, is_so: Callable[[], bool]) -> None:
    """If it does not come, say what the migration did instead."""
    try:
        eventually(what, is_so, REACH_DEADLINE_S)
    except AssertionError as error:
        raise AssertionError(f"{error}; {story(scene.wire.get(f'/v1/migrations/{run.migration}'))}") from error


def _is_copied_in_part(scene: Scene, run: Run) -> None:
    scene.wire.until(run.migration, lambda found: found["progress"]["memory_processed_bytes"] >= _MIDDLE_BYTES, REACH_DEADLINE_S)


def _stands_still(scene: Scene, run: Run) -> None:
    """The source is paused and the destination does not run: QEMU there is stopped, so that this lasts."""
    scene.wire.until(run.migration, lambda found: found["progress"]["memory_processed_bytes"] > 0, REACH_DEADLINE_S)
    pid = scene.qemu(scene.destination, run.subject.uuid)
    assert pid is not None
    source = scene.lab.host(scene.source)
    connection = libvirt.open(f"qemu+unix:///system?socket={source.file('/run/libvirt/libvirt-sock')}")
    try:
        domain = connection.lookupByUUIDString(run.subject.uuid)
        os.kill(pid, signal.SIGSTOP)  # the source has some seconds until it can send no more: it must decide before
        domain.migrateSetMaxDowntime(_LONG_PAUSE_MS)
        eventually("the guest is paused", lambda: domain.state()[0] == libvirt.VIR_DOMAIN_PAUSED, REACH_DEADLINE_S)
    finally:
        connection.close()


def _hold(name: str, point: str, *before: tuple[str, str]) -> Stage:
    return Stage(name, (*before, (point, "hold")), _held(point))


#: in the order in which they are set up: those that are held wait patiently, those that copy come last
_ALL = (
    _hold("check", "step.check_source.before_do"),
    _hold("pre", "step.pre_live_migration.after_do"),
    _hold("rollback", "undo.pre_live_migration.before", ("step.migrate.before_do", "raise once")),
    _hold("arrival", "step.post_at_destination.before_do"),
    _hold("post", "step.post_at_source.before_do"),
    Stage("middle", (), _is_copied_in_part, is_slow=True),
    Stage("switchover", (), _stands_still, is_slow=True),
    Stage("start", (), _arrives, is_slow=True),
)
STAGES = {stage.name: stage for stage in _ALL}
