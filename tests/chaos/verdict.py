"""What became of a migration while something broke: one word, and every reason for it."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

import httpx
from sqlalchemy.exc import OperationalError

from lmigrate.clock import monotonic_s, sleep_s
from lmigrate.lab.errors import LabError
from tests.chaos.scene import Run, Scene
from tests.lab.volumes.carrier import rows, secrets_out_of_place
from tests.lab.wire import ENDED, Json, story

#: from the parts being back
DEADLINE_S = 60.0
_GOOD = ("finished", "undone")
_RESERVED = "SELECT migration_id FROM reservations"
_OPEN = "SELECT id, instance_uuid, status FROM migrations WHERE phase != 'ended'"
_ATTACHED = "SELECT uuid, instance_uuid, host, migration_id, state FROM volume_attachments"


@dataclass
class Row:
    """One migration.

    Attributes:
        outcome: ``finished`` or ``undone`` when all is well; ``held``; ``ended`` for a guest that was killed and whose end was told
            honestly; else what is wrong: ``open``, ``lost``, ``doubled``, ``untold``, ``leaked``, ``broken``, ``silent``, ``stuck``.
        settled_s: from the parts being back until everything was as it should be.
        why: what is wrong, a line each.
        guest: its UUID.
    """

    faults: list[str]
    stage: str
    outcome: str
    settled_s: float
    why: list[str]
    guest: str = ""
    story: str = ""

    @property
    def is_good(self) -> bool:
        return self.outcome in {*_GOOD, "ended", "no target"}

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


Problem = tuple[str, str]
_NO_ANSWER = (AssertionError, LabError, httpx.TransportError, subprocess.SubprocessError, OperationalError)


def judge(scene: Scene, run: Run, faults: list[str], healed_s: float) -> Row:
    """Wait until nothing is wrong any more, or the time is over."""
    while True:
        migration, problems = look(scene, run)
        waited_s = monotonic_s() - healed_s
        if not problems or waited_s > DEADLINE_S:
            break
        sleep_s(0.5)
    problems = problems or list(_woken(run))
    outcome = problems[0][0] if problems else _good(run, migration)
    told = story(migration) if problems and migration else ""
    return Row(faults, run.stage, outcome, round(waited_s, 1), [text for _, text in problems], run.subject.uuid, told)


def look(scene: Scene, run: Run) -> tuple[Json, list[Problem]]:
    """The migration, and all that is wrong now; a part that does not answer (yet) is what is wrong."""
    migration: Json = {}
    try:
        migration = scene.wire.get(f"/v1/migrations/{run.migration}", samples=False)
        return migration, list(problems_of(scene, run, migration))
    except _NO_ANSWER as error:
        return migration, [("silent", f"{type(error).__name__}: {error}")]


def _good(run: Run, migration: Json) -> str:
    if run.is_hit and not _active(run):
        return "ended"
    return "finished" if migration["status"] == "completed" else "undone"


def _active(run: Run) -> list[str]:
    return [host for host, state in run.subject.guest.states().items() if state != "shut off"]


def problems_of(scene: Scene, run: Run, migration: Json) -> Iterator[Problem]:
    """The worst first."""
    states = run.subject.guest.states()
    active = [host for host, state in states.items() if state != "shut off"]
    if len([host for host in active if states[host] == "running"]) > 1:
        yield "doubled", f"it runs twice: {states}"
        return
    if migration["status"] not in ENDED:
        yield "open", f"migration {migration['id']} is {migration['status']}"
        return
    if migration["status"] == "error":
        yield "held", str(migration["error"])
        return
    home = _home(run, migration)
    if not active and not run.is_hit:
        yield "lost", f"it runs nowhere: {states}"
        return
    yield from _wrong_life(run, states, home, is_alive=bool(active))
    yield from _untold(scene, run, home, is_alive=bool(active))
    yield from _leaks(scene, run, home, is_alive=bool(active))
    yield from _wrong_data(run, home)


def _home(run: Run, migration: Json) -> str:
    """Where the guest belongs, by what the migration says."""
    return str(migration["dest_host"] if migration["status"] == "completed" else migration["source_host"])


def _wrong_life(run: Run, states: dict[str, str], home: str, *, is_alive: bool) -> Iterator[Problem]:
    wanted = {home: run.subject.power if is_alive else "shut off"}
    if states != wanted:
        yield ("leaked" if states.get(home) == wanted[home] else "broken"), f"domains are {states}, not {wanted}"
        return
    if is_alive and run.subject.power == "running":
        yield from _wrong_counter(run)


def _wrong_counter(run: Run) -> Iterator[Problem]:
    run.subject.guest.wait_ticks(2)
    report = run.subject.guest.report(run.began_s)
    if not report.is_unbroken:
        yield "broken", f"its counter or memory is not whole: {report}"


def _woken(run: Run) -> Iterator[Problem]:
    """A guest that its owner paused counts when it is let, and is paused again."""
    (home,) = run.subject.guest.states()
    if run.subject.power != "paused" or not _active(run):
        return
    node = run.subject.guest.lab.host(home)
    node.virsh("resume", run.subject.uuid)
    yield from _wrong_counter(run)
    node.virsh("suspend", run.subject.uuid)


def _untold(scene: Scene, run: Run, home: str, *, is_alive: bool) -> Iterator[Problem]:
    seen = scene.wire.server(run.subject.uuid)
    alive = {"running": "active", "paused": "paused"}[run.subject.power]
    wanted = {"host": home, "vm_state": alive if is_alive else "stopped", "task_state": None, "anomaly": None}
    told = {key: seen[key] for key in wanted}
    if told != wanted:
        yield "untold", f"the record says {told}, not {wanted}"


def _wrong_data(run: Run, home: str) -> Iterator[Problem]:
    before = run.subject.contents
    if before is not None and run.subject.contents_on(home) != before:
        yield "broken", f"the content of its disks on {home} is not what it was"


def _leaks(scene: Scene, run: Run, home: str, *, is_alive: bool) -> Iterator[Problem]:
    lab, uuid = scene.lab, run.subject.uuid
    if [run.migration] in [list(row) for row in rows(lab, _RESERVED)]:
        yield "leaked", "memory is still reserved"
    if found := [row for row in rows(lab, _OPEN) if row[1] == uuid]:
        yield "leaked", f"open in the records: {found}"
    if elsewhere := [name for name, host in lab.hosts.items() if name != home and (host.instances_dir / uuid).exists()]:
        yield "leaked", f"its directory is still on {elsewhere}"
    ((migration_uuid,),) = rows(lab, f"SELECT uuid FROM migrations WHERE id = {run.migration}")
    for name, host in lab.hosts.items():
        marks = [str(path.relative_to(host.instances_dir)) for path in host.instances_dir.rglob("*.lmigrate*")]
        if own := [mark for mark in marks if uuid in mark or migration_uuid in mark]:
            yield "leaked", f"marks on {name}: {own}"
    yield from _access_leaks(scene, run, home, is_alive=is_alive)


def _access_leaks(scene: Scene, run: Run, home: str, *, is_alive: bool) -> Iterator[Problem]:
    carrier = run.subject.carrier
    if (let_in := carrier.let_in()) != [[home]] * len(carrier.volumes):
        yield "leaked", f"tgtd lets in {let_in}, not only {home}"
    if (accounts := [len(target.accounts) for target in carrier.targets()]) != [1] * len(carrier.volumes):
        yield "leaked", f"accounts of each target: {accounts}"
    if (logged_in := carrier.logged_in()) != ({home} if is_alive else set()):
        yield "leaked", f"logged in to the volume: {logged_in}"
    attached = [row for row in rows(scene.lab, _ATTACHED) if row[1] == run.subject.uuid]
    if [(row[2], row[3], str(row[4]).lower()) for row in attached] != [(home, None, "granted")] * len(carrier.volumes):
        yield "leaked", f"attachments: {attached}"
    if left := secrets_out_of_place(scene.lab):
        yield "leaked", f"secrets that no attachment of their host names: {left}"
