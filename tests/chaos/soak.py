"""Random guests, random migrations, random faults, for as long as one likes: ``python -m tests.chaos.soak --seed 7 --rounds 50``.

A seed names a plan: the same seed plans the same rounds.  What happens to a plan depends on the machine, as it should.
"""

from __future__ import annotations

import argparse
import random
import secrets
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import click

from lmigrate.clock import monotonic_s
from tests.chaos.faults import FAULTS
from tests.chaos.scene import Scene, chaos_lab
from tests.chaos.stages import STAGES
from tests.chaos.subject import Subject
from tests.chaos.trial import start_subjects, try_out
from tests.chaos.verdict import Row

KINDS = ("small", "small", "paused", "large", "large", "writer")
#: a stage that slows the copy needs a guest that takes a while and is not paused already; one that writes to a disk that is
#: copied to a stopped QEMU is not paused
_KINDS_AT = {"start": ("large", "writer"), "middle": ("large", "writer"), "switchover": ("large",)}
_ONE_FAULT, _TWO_FAULTS = 0.8, 2
OUTCOMES = (
    *("finished", "undone", "ended", "no target"),
    *("held", "open", "lost", "doubled", "leaked", "broken", "untold", "silent", "stuck", "unreached"),
)


@dataclass(frozen=True)
class Round:
    """What happens at once: guests by their place in the herd, each with its stage, and what breaks."""

    is_back: bool  # from node6 to node5
    moves: tuple[tuple[int, str], ...]
    faults: tuple[str, ...]


def plan_rounds(seed: int, count: int, database: str, kinds: Sequence[str] = KINDS) -> list[Round]:
    """The plan of a seed; a longer one begins as the shorter one does."""
    dice = random.Random(seed)
    return [_plan(dice, sorted(name for name, fault in FAULTS.items() if fault.needs in {None, database}), kinds) for _ in range(count)]


def _plan(dice: random.Random, names: Sequence[str], kinds: Sequence[str]) -> Round:
    guests = sorted(dice.sample(range(len(kinds)), dice.randint(1, len(kinds))))
    faults = dice.sample(names, 1 if dice.random() < _ONE_FAULT else _TWO_FAULTS)
    stages = dice.sample(list(STAGES), len(STAGES))  # each is held by one guest at a time
    moves = []
    for guest in guests:
        stage = next(name for name in stages if kinds[guest] in _KINDS_AT.get(name, KINDS))
        stages.remove(stage)
        moves.append((guest, stage))
    return Round(dice.random() < 1 / 2, tuple(moves), tuple(faults))


def run_soak(
    scene: Scene, rounds: Sequence[Round], say: Callable[[str], None], kinds: Sequence[str] = KINDS, until_s: float = float("inf")
) -> list[Row]:
    """Play the rounds, as many as begin before ``until_s`` (CLOCK_MONOTONIC); a row for each migration."""
    herd: dict[int, Subject] = {}
    rows: list[Row] = []
    for number, planned in enumerate(rounds, 1):
        if monotonic_s() > until_s:
            break
        scene.source, scene.destination = ("node6", "node5") if planned.is_back else ("node5", "node6")
        herd |= start_subjects(scene, {guest: kinds[guest] for guest, _ in planned.moves if guest not in herd})
        plan = [(herd[guest], stage) for guest, stage in planned.moves]
        tried = try_out(scene, [FAULTS[name] for name in planned.faults], plan)
        say(f"{number:4} {' and '.join(planned.faults)}: {', '.join(f'{row.stage} {row.outcome}' for row in tried)}")
        for row in tried:
            if not row.is_good:
                say(f"     {row.stage}: {row.outcome}: {'; '.join(row.why)}\n{row.story}")
        _drop(herd, tried)
        rows += tried
    return rows


def _drop(herd: dict[int, Subject], rows: Sequence[Row]) -> None:
    """Guests that are not fit for another round."""
    bad = {row.guest for row in rows if not row.is_good}
    for place in [place for place, subject in herd.items() if subject.uuid in bad]:
        herd.pop(place).guest.stop()


def show(rows: Sequence[Row], seed: int, took_s: float) -> str:
    """The table at the end."""
    outcomes = Counter(row.outcome for row in rows)
    faults = Counter(name for row in rows for name in row.faults)
    lines = [f"seed {seed}, {took_s / 60:.1f} minutes, {len(rows)} migrations", "", "| migrations | |", "| --- | --- |"]
    lines += [f"| {word} | {outcomes[word]} |" for word in OUTCOMES]
    lines += ["", "| fault | migrations that it struck |", "| --- | --- |"]
    lines += [f"| {name} | {count} |" for name, count in sorted(faults.items())]
    longest = max(rows, key=lambda row: row.settled_s)
    lines += ["", f"longest until all was well again: {longest.settled_s:.0f} s ({', '.join(longest.faults)}; {longest.stage})"]
    return "\n".join(lines)


def main(argv: Sequence[str] | None = None) -> int:
    """The command; its exit code is 1 when anything was lost, doubled, leaked, held, not whole or not at its end."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=secrets.randbelow(10**6))
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--database", default="postgresql", choices=["sqlite", "postgresql"])
    parser.add_argument("--minutes", type=float, default=float("inf"), help="begin no further round after so long")
    options = parser.parse_args(argv)
    began_s = monotonic_s()
    until_s = began_s + options.minutes * 60
    click.echo(f"seed {options.seed}")
    with chaos_lab(f"soak-{secrets.token_hex(3)}", options.database) as scene:
        rows = run_soak(scene, plan_rounds(options.seed, options.rounds, options.database), click.echo, until_s=until_s)
    click.echo(show(rows, options.seed, monotonic_s() - began_s))
    return 0 if all(row.is_good for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
