"""One trial: migrations stand at their stages, something breaks and is mended, and each is judged."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from lmigrate.clock import monotonic_s, sleep_s
from lmigrate.lab.errors import LabError
from tests.chaos.faults import Fault
from tests.chaos.scene import Run, Scene
from tests.chaos.stages import STAGES, begin, lift_limit, released
from tests.chaos.subject import Subject, start_subject
from tests.chaos.verdict import Row, judge
from tests.lab.moves import other
from tests.lab.wire import story

_NEXT_DEADLINE_S = 90.0
K = TypeVar("K")


def try_out(scene: Scene, faults: Sequence[Fault], plan: Sequence[tuple[Subject, str]]) -> list[Row]:
    """Bring each guest's migration to its stage, break the parts, mend them; a row for each migration, in the order of the stages."""
    names = [fault.name for fault in faults]
    scene.runs = []
    try:
        wrong = _move_all(scene, [(subject, scene.source) for subject, _ in plan])
        assert not wrong, wrong
        for subject, stage in sorted(plan, key=lambda item: list(STAGES).index(item[1])):
            scene.runs.append(begin(scene, subject, STAGES[stage]))
        _break_and_mend(scene, faults)
        healed_s = monotonic_s()
        scene.wait_back()
        with ThreadPoolExecutor(len(plan)) as pool:
            rows = list(pool.map(lambda run: judge(scene, run, names, healed_s), scene.runs))
        _move_on(scene, rows)
    except (AssertionError, LabError) as error:  # the next trial is made with other guests
        scene.disarm()
        return [Row(names, stage, "unreached", 0.0, [str(error)], subject.uuid) for subject, stage in plan]
    return rows


def start_subjects(scene: Scene, kinds: Mapping[K, str]) -> dict[K, Subject]:
    """New guests on node5, each of its kind; one after the other, as tgtd wants it."""
    return {key: start_subject(scene.lab, scene.wire, kind) for key, kind in kinds.items()}


def _break_and_mend(scene: Scene, faults: Sequence[Fault]) -> None:
    for fault in faults:
        fault.inject(scene)
    with released(scene):
        sleep_s(max(fault.lasts_s for fault in faults))
        for fault in reversed(faults):
            fault.heal(scene)


def _move_on(scene: Scene, rows: list[Row]) -> None:
    """The next migration of each works."""
    moves: list[tuple[Subject, str]] = []
    for run, row in zip(scene.runs, rows, strict=True):
        if not row.is_good:
            continue
        home = _home(run)
        if row.outcome == "ended":
            run.subject.start_again(scene.wire, home)
        lift_limit(scene, run, home)
        moves.append((run.subject, other(home)))
        if not run.is_target:
            row.outcome = "no target"
    for subject, wrong in _move_all(scene, moves).items():
        row = next(row for run, row in zip(scene.runs, rows, strict=True) if run.subject.uuid == subject)
        row.outcome, row.why = "stuck", [wrong]


def _home(run: Run) -> str:
    (home,) = run.subject.guest.states()
    return home


def _move_all(scene: Scene, moves: Sequence[tuple[Subject, str]]) -> dict[str, str]:
    """Move guests at once; what went wrong, by guest."""
    begun, wrong = {}, {}
    for subject, host in moves:
        if list(subject.guest.states()) != [host]:
            subject.let_run(scene.wire)
            try:
                begun[subject.uuid] = scene.wire.begin(subject.uuid, host)
            except AssertionError as error:  # refused
                wrong[subject.uuid] = str(error)
    for uuid, migration in begun.items():
        ended = scene.wire.end(migration, _NEXT_DEADLINE_S)
        if ended["status"] != "completed":
            wrong[uuid] = story(ended)
    return wrong
