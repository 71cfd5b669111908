"""What lmigrate adds to a bare migration: `make bench`.

One idle tick guest goes back and forth between two lab hosts.  Each pair is one move by
lmigrate, from the POST to `completed`, and one bare peer-to-peer migrateToURI3 with the
same transport; which of the two comes first alternates, and so do the directions.  The
guest itself says how long it stood still.  Only figures of one run are compared.  Ends with
1 when a goal is missed, and names it.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx

from benchmarks.goals import missed_by_moves
from benchmarks.ranks import chance_that_not_larger, shift
from lmigrate.lab.guests.guest import Guest
from lmigrate.lab.guests.spec import GuestSpec
from lmigrate.lab.guests.start import start_guest
from lmigrate.lab.options import LabOptions
from lmigrate.lab.topology import Lab

HERE = Path(__file__).resolve().parent
HOSTS = ("node5", "node6")
RATE_HZ = 100.0
SETTLE_S = 0.5
DEADLINE_S = 60.0
LOOK_AFTER_S = 2.0  # nobody looks while the bare call runs, either; the end is read from the record


@dataclass
class Series:
    """One kind of move, in ms."""

    total_ms: list[float] = field(default_factory=list)
    step_ms: list[float] = field(default_factory=list)  # of it, the step that makes the call
    pause_ms: list[float] = field(default_factory=list)


class Bare:
    """The bare migration, ready on both hosts so that no start-up is counted."""

    def __init__(self, lab: Lab) -> None:
        argv = [sys.executable, str(HERE / "bare_migrate.py")]
        pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
        self._processes = {name: lab.host(name).popen(argv, **pipes) for name in HOSTS}
        self._transport = "tls" if lab.options.tls else "tcp"
        for process in self._processes.values():
            self._answer(process)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        for process in self._processes.values():
            process.communicate(timeout=10)  # end of input is the end of it

    def move(self, uuid: str, source: str, destination: str) -> tuple[float, float]:
        """Milliseconds of the call itself; it is all there is."""
        process = self._processes[source]
        if process.stdin is None:
            raise RuntimeError("the bare migration has no input")
        process.stdin.write(f"{uuid} {destination} {self._transport}\n")
        process.stdin.flush()
        took_ms = float(self._answer(process))
        return took_ms, took_ms

    def _answer(self, process: subprocess.Popen[str]) -> str:
        line = process.stdout.readline() if process.stdout else ""
        if not line:
            raise RuntimeError(f"the bare migration has ended with {process.poll()}")
        return line


class Api:
    """The requests that an operator would make."""

    def __init__(self, url: str) -> None:
        self._client = httpx.Client(base_url=url, timeout=30, headers={"OpenStack-API-Version": "compute 2.79"})

    def move(self, uuid: str, destination: str) -> tuple[float, float]:
        """Milliseconds from the POST to the moment at which the migration was recorded as completed; of the migrate step."""
        began = datetime.now(UTC)
        body = {"os-migrateLive": {"block_migration": "auto", "host": destination}}
        self._client.post(f"/v2.1/servers/{uuid}/action", json=body).raise_for_status()
        migration = self._wait_for_end(uuid)
        return between_ms(began, migration["ended_at"]), self._migrate_step_ms(migration["id"])

    def _migrate_step_ms(self, migration_id: int) -> float:
        steps = self._client.get(f"/v1/migrations/{migration_id}").raise_for_status().json()["steps"]
        step = next(step for step in steps if step["name"] == "migrate")
        return between_ms(datetime.fromisoformat(step["started_at"]), step["finished_at"])

    def wait_until_idle_on(self, uuid: str, host: str) -> None:
        """Until the records know where the bare migration has put the guest."""
        wait(lambda: self._is_idle_on(uuid, host))

    def _is_idle_on(self, uuid: str, host: str) -> bool:
        answer = self._client.get(f"/v1/servers/{uuid}")
        if answer.status_code == httpx.codes.NOT_FOUND:  # the host's daemon has not seen it yet
            return False
        server = answer.raise_for_status().json()
        return bool(server["host"] == host and server["task_state"] is None)

    def _wait_for_end(self, uuid: str) -> dict[str, Any]:
        newest: dict[str, Any] = {}

        def ended() -> bool:
            found = self._client.get("/v1/migrations", params={"server": uuid, "limit": 1}).raise_for_status().json()
            newest.update(found["migrations"][0])
            return newest["ended_at"] is not None

        time.sleep(LOOK_AFTER_S)
        wait(ended, every_s=0.2)
        if newest["status"] != "completed":
            raise RuntimeError(f"the migration ended {newest['status']}: {newest['error']}")
        return newest


def between_ms(began: datetime, ended: str) -> float:
    """Milliseconds until an ISO 8601 time."""
    return (datetime.fromisoformat(ended) - began).total_seconds() * 1000


def wait(condition: Callable[[], bool], every_s: float = 0.1) -> None:
    """Until it holds.

    Raises:
        TimeoutError: it does not within DEADLINE_S.
    """
    until = time.monotonic() + DEADLINE_S
    while not condition():
        if time.monotonic() > until:
            raise TimeoutError("the lab does not settle")
        time.sleep(every_s)


def measure(guest: Guest, series: Series, move: Callable[[], tuple[float, float]]) -> None:
    """One move, with the pause that the guest itself saw."""
    time.sleep(SETTLE_S)
    since = time.monotonic()
    total_ms, step_ms = move()
    series.total_ms.append(total_ms)
    series.step_ms.append(step_ms)
    time.sleep(SETTLE_S)
    report = guest.report(since=since)
    if not report.is_unbroken:
        raise RuntimeError(f"the guest was harmed: {report}")
    series.pause_ms.append(report.pause_ms)


def run_pairs(lab: Lab, pairs: int) -> dict[str, Series]:
    """``pairs`` pairs, alternating in order and direction."""
    found = {"lmigrate": Series(), "bare": Series()}
    api = Api(lab.url)
    here, there = HOSTS
    with Bare(lab) as bare, start_guest(lab, here, GuestSpec(name="bench", rate_hz=RATE_HZ)) as guest:
        movers: dict[str, Callable[[str, str], tuple[float, float]]] = {
            "lmigrate": lambda _source, destination: api.move(guest.uuid, destination),
            "bare": partial(bare.move, guest.uuid),
        }
        for number in range(-1, pairs):  # the first pair warms every cache and is not counted
            for kind in ("lmigrate", "bare") if number % 2 else ("bare", "lmigrate"):
                api.wait_until_idle_on(guest.uuid, here)
                measure(guest, found[kind] if number >= 0 else Series(), partial(movers[kind], here, there))
                here, there = there, here
    return found


def summary(found: dict[str, Series], lab: Lab) -> dict[str, Any]:
    """The figures of one run."""
    ours, bare = found["lmigrate"], found["bare"]
    overheads = [mine - its for mine, its in zip(ours.total_ms, bare.total_ms, strict=True)]
    return {
        "pairs": len(overheads),
        "accelerator": lab.accel.name,
        "transport": "tls" if lab.options.tls else "tcp",
        "load_average_1min": round(os.getloadavg()[0], 1),
        "lmigrate_total_ms": spread(ours.total_ms),
        "bare_total_ms": spread(bare.total_ms),
        "overhead_ms": spread(overheads),
        "outside_the_migrate_step_ms": spread([total - step for total, step in zip(ours.total_ms, ours.step_ms, strict=True)]),
        "migrate_step_ms": spread(ours.step_ms),
        "ratio_of_medians": round(statistics.median(ours.total_ms) / statistics.median(bare.total_ms), 3),
        "pauses": pauses(ours.pause_ms, bare.pause_ms),
    }


def pauses(ours: list[float], bare: list[float]) -> dict[str, Any]:
    """The guest's longest silences.  They come in modes, of which a median says little: so quantiles, and a test of ranks."""
    least, likeliest, most = shift(ours, bare)
    return {
        "lmigrate_ms": {**spread(ours), "deciles": deciles(ours)},
        "bare_ms": {**spread(bare), "deciles": deciles(bare)},
        "longer_by_ms": {"likeliest": round(likeliest, 1), "with_95_percent": [round(least, 1), round(most, 1)]},
        "chance_that_not_longer": round(chance_that_not_larger(ours, bare), 3),
    }


def deciles(values: list[float]) -> list[float]:
    """The nine values that cut the series into ten equal parts."""
    return [round(value, 1) for value in statistics.quantiles(values, n=10)]


def spread(values: list[float]) -> dict[str, float]:
    """Minimum, median, maximum."""
    return {"min": round(min(values), 1), "median": round(statistics.median(values), 1), "max": round(max(values), 1)}


def main() -> None:
    """Run, and print JSON; what is missed goes to standard error."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=12, help="pairs of moves (at least 10 for a figure that is told to anybody)")
    parser.add_argument("--plain-tcp", action="store_true", help="no TLS between the hosts")
    parser.add_argument("--database", choices=["sqlite", "postgresql"], default="sqlite")
    asked = parser.parse_args()
    options = LabOptions(lab_id="bench", instances="shared", tls=not asked.plain_tcp, database=asked.database)
    with Lab.up(options, say=lambda line: print(line, file=sys.stderr)) as lab:
        found = summary(run_pairs(lab, asked.pairs), lab)
    print(json.dumps(found, indent=1))
    missed = missed_by_moves(found)
    for line in missed:
        print(f"MISSED: {line}", file=sys.stderr)
    sys.exit(1 if missed else 0)


if __name__ == "__main__":
    main()
