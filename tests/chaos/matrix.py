"""Every fault at every stage, on a real lab: ``python -m tests.chaos.matrix [--faults …] [--stages …] [--results FILE]``.

All stages of one fault are tried in one trial: a guest stands at each when the fault strikes.  Results are appended
to a file, a line each; faults that are in it already are not tried again.
"""

from __future__ import annotations

import argparse
import json
import secrets
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import click

from tests.chaos.faults import FAULTS, Fault
from tests.chaos.herd import Herd
from tests.chaos.scene import Scene, chaos_lab
from tests.chaos.stages import STAGES
from tests.chaos.trial import try_out
from tests.chaos.verdict import Row


def run_matrix(scene: Scene, faults: Sequence[Fault], stages: Sequence[str], results: Path) -> list[Row]:
    """Try each fault; append what came of it to ``results``."""
    herd, rows = Herd(scene), []
    for fault in faults:
        tried = try_out(scene, [fault], herd.ready(stages))
        herd.drop_unfit(tried)
        for row in tried:
            click.echo(f"{fault.name:34} {row.stage:11} {row.outcome:10} {row.settled_s:5.1f} s  {'; '.join(row.why)}")
        with results.open("a") as file:
            file.writelines(json.dumps(row.to_json()) + "\n" for row in tried)
        rows += tried
    return rows


def read_results(path: Path) -> list[Row]:
    """What has been tried so far."""
    return [Row(**json.loads(line)) for line in path.read_text().splitlines()] if path.exists() else []


def show(rows: Sequence[Row]) -> str:
    """A table: a line for each fault, a column for each stage."""
    stages = [
        stage
        for stage in ("check", "pre", "start", "middle", "switchover", "arrival", "post", "rollback")
        if any(row.stage == stage for row in rows)
    ]
    found = {(row.faults[0], row.stage): row for row in rows}
    lines = [f"| fault | {' | '.join(stages)} |", f"| --- |{' --- |' * len(stages)}"]
    for name in dict.fromkeys(row.faults[0] for row in rows):
        cells = [_cell(found.get((name, stage))) for stage in stages]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    totals = Counter(row.outcome for row in rows)
    return "\n".join([*lines, "", ", ".join(f"{outcome}: {count}" for outcome, count in totals.most_common())])


def _cell(row: Row | None) -> str:
    if row is None:
        return ""
    return "–" if row.outcome == "no target" else f"{row.outcome}, {row.settled_s:.0f} s"


def main(argv: Sequence[str] | None = None) -> int:
    """The command; its exit code is 1 when anything was not as it should be."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--faults", nargs="*", default=list(FAULTS), choices=list(FAULTS), metavar="FAULT")
    parser.add_argument("--stages", nargs="*", default=list(STAGES), choices=list(STAGES), metavar="STAGE")
    parser.add_argument("--database", default="postgresql", choices=["sqlite", "postgresql"])
    parser.add_argument("--results", type=Path, default=Path("chaos-matrix.jsonl"))
    options = parser.parse_args(argv)
    known = {row.faults[0] for row in read_results(options.results)}
    todo = [FAULTS[name] for name in options.faults if name not in known and FAULTS[name].needs in {None, options.database}]
    if todo:
        with chaos_lab(f"chaos-{secrets.token_hex(3)}", options.database) as scene:
            run_matrix(scene, todo, options.stages, options.results)
    rows = read_results(options.results)
    click.echo(show(rows))
    return 0 if all(row.is_good for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
