"""The whole table of DESIGN section 7, and what no verdict may do whatever libvirt shows.

The cells in which post-copy broke have their own tests in test_verdict.py.
"""

from __future__ import annotations

from itertools import product

import pytest

from lmigrate.migration.verdict import Seen, Verdict, decide
from lmigrate.states import PowerState
from lmigrate.virt.names import _REASONS

RUNNING, PAUSED, SHUTOFF, CRASHED = PowerState.RUNNING, PowerState.PAUSED, PowerState.SHUTOFF, PowerState.CRASHED
LETTERS = {"M": Verdict.MOVED, ">": Verdict.MOVING, "n": Verdict.NOT_MOVED, "H": Verdict.HOLD}


def seen(state: PowerState, reason: str, **more: bool) -> Seen:
    return Seen(exists=True, power_state=state, reason=reason, **more)


SOURCES: dict[str, Seen | None] = {
    "silent": None,
    "none": Seen(exists=False),
    "running": seen(RUNNING, "booted", is_persistent=True),
    "running, job": seen(RUNNING, "booted", is_persistent=True, is_job_active=True),
    "running again": seen(RUNNING, "migration-canceled", is_persistent=True),
    "paused by its owner": seen(PAUSED, "user", is_persistent=True),
    "paused by its owner, job": seen(PAUSED, "user", is_persistent=True, is_job_active=True),
    "paused by an error": seen(PAUSED, "ioerror", is_persistent=True),
    "at the switchover": seen(PAUSED, "migration", is_persistent=True),
    "at the switchover, transient": seen(PAUSED, "migration"),
    "at the switchover, job": seen(PAUSED, "migration", is_persistent=True, is_job_active=True),
    "panicked": seen(CRASHED, "panicked", is_persistent=True),
    "suspended": seen(PowerState.PMSUSPENDED, "unknown", is_persistent=True),
    "off: migrated": seen(SHUTOFF, "migrated", is_persistent=True),
    "off: shutdown": seen(SHUTOFF, "shutdown", is_persistent=True),
    "off: destroyed": seen(SHUTOFF, "destroyed", is_persistent=True),
    "off: crashed": seen(SHUTOFF, "crashed", is_persistent=True),
    "off: failed": seen(SHUTOFF, "failed", is_persistent=True),
    "off: unknown": seen(SHUTOFF, "unknown", is_persistent=True),
    "off: saved": seen(SHUTOFF, "saved", is_persistent=True),
}
DESTINATIONS: dict[str, Seen | None] = {
    "silent": None,
    "none": Seen(exists=False),
    "incoming": seen(PAUSED, "migration", is_ours=True),
    "starting": seen(PAUSED, "starting-up", is_ours=True),
    "runs": seen(RUNNING, "migrated", is_ours=True, is_persistent=True),
    "paused": seen(PAUSED, "user", is_ours=True, is_persistent=True),
    "error": seen(PAUSED, "ioerror", is_ours=True, is_persistent=True),
    "panic": seen(CRASHED, "panicked", is_ours=True, is_persistent=True),
    "off": seen(SHUTOFF, "shutdown", is_ours=True, is_persistent=True),
    "off: failed": seen(SHUTOFF, "failed", is_ours=True, is_persistent=True),
    "other runs": seen(RUNNING, "booted"),
    "other waits": seen(PAUSED, "migration"),
    "other paused": seen(PAUSED, "user"),
    "other off": seen(SHUTOFF, "shutdown", is_persistent=True),
}
#: n: not moved · M: moved · >: moving · H: held
TABLE = """
                              silent
                              |  none
                              |  |  incoming
                              |  |  |  starting
                              |  |  |  |  runs
                              |  |  |  |  |  paused
                              |  |  |  |  |  |  error
                              |  |  |  |  |  |  |  panic
                              |  |  |  |  |  |  |  |  off
                              |  |  |  |  |  |  |  |  |  off: failed
                              |  |  |  |  |  |  |  |  |  |  other runs
                              |  |  |  |  |  |  |  |  |  |  |  other waits
                              |  |  |  |  |  |  |  |  |  |  |  |  other paused
                              |  |  |  |  |  |  |  |  |  |  |  |  |  other off
silent                        H  H  H  H  M  H  H  H  H  H  H  H  H  H
none                          H  H  H  H  M  M  M  M  M  M  H  H  H  H
running                       H  n  n  n  H  H  H  H  H  n  H  n  n  n
running, job                  >  >  >  >  >  >  >  >  >  >  >  >  >  >
running again                 H  n  n  n  H  H  H  H  H  n  H  n  n  n
paused by its owner           H  n  n  n  M  H  H  H  H  n  H  H  H  n
paused by its owner, job      >  >  >  >  >  >  >  >  >  >  >  >  >  >
paused by an error            H  n  n  n  M  H  H  H  H  n  H  H  H  n
at the switchover             H  n  H  H  M  H  H  H  H  H  H  H  H  H
at the switchover, transient  H  H  H  H  M  H  H  H  H  H  H  H  H  H
at the switchover, job        >  >  >  >  >  >  >  >  >  >  >  >  >  >
panicked                      H  n  n  n  M  H  H  H  H  n  H  H  H  n
suspended                     H  n  n  n  M  H  H  H  H  n  H  H  H  n
off: migrated                 H  H  M  M  M  M  M  M  M  M  H  H  H  H
off: shutdown                 H  n  n  n  M  H  H  H  H  H  H  H  H  n
off: destroyed                H  n  n  n  M  H  H  H  H  H  H  H  H  n
off: crashed                  H  n  n  n  M  H  H  H  H  H  H  H  H  n
off: failed                   H  n  n  n  M  H  H  H  H  H  H  H  H  n
off: unknown                  H  n  H  H  M  M  M  M  H  H  H  H  H  H
off: saved                    H  n  H  H  M  M  M  M  H  H  H  H  H  H
"""
CELLS = [
    (line[:30].strip(), destination, LETTERS[letter])
    for line in TABLE.splitlines()
    if line and line[0] != " "
    for destination, letter in zip(DESTINATIONS, line[30:].split(), strict=True)
]
SILENT_OR_SEEN: list[Seen | None] = [
    None,
    Seen(exists=False),
    *(
        seen(state, reason, is_job_active=job, is_ours=ours, is_persistent=persistent)
        for state, reasons in _REASONS.items()
        for reason in reasons.values()
        for job, ours, persistent in product([False, True], repeat=3)
    ),
]


def test_every_cell_is_in_the_table() -> None:
    assert [(source, destination) for source, destination, _ in CELLS] == list(product(SOURCES, DESTINATIONS))


@pytest.mark.parametrize("before", [RUNNING, PAUSED])
@pytest.mark.parametrize(("source", "destination", "verdict"), CELLS, ids=[f"{source} | {there}" for source, there, _ in CELLS])
def test_cell(source: str, destination: str, verdict: Verdict, before: PowerState) -> None:
    decision = decide(SOURCES[source], DESTINATIONS[destination], before)
    assert decision.verdict is verdict, decision.reason
    assert decision.reason


@pytest.mark.parametrize("before", [RUNNING, PAUSED])
def test_what_no_verdict_does_whatever_libvirt_shows(before: PowerState) -> None:
    for source, destination in product(SILENT_OR_SEEN, SILENT_OR_SEEN):
        decision = decide(source, destination, before)
        wrong = _why_wrong(source, destination, decision.verdict)
        assert wrong is None, f"{wrong}: source {source!r}, destination {destination!r}: {decision}"
        assert decision.reason


def _why_wrong(source: Seen | None, destination: Seen | None, verdict: Verdict) -> str | None:
    if verdict is Verdict.MOVED:  # the source's copy goes
        return _why_not_moved(source, destination)
    if verdict is Verdict.NOT_MOVED:  # what this migration made on the destination goes
        return _why_not_home(source, destination)
    if verdict is Verdict.MOVING and (source is None or not source.is_job_active) and not _is_post_copy(source, destination):
        return "nothing moves it"
    return None


def _why_not_moved(source: Seen | None, destination: Seen | None) -> str | None:
    if destination is None or not destination.exists or not destination.is_ours:
        return "moved, and nothing of this migration's is seen there"
    if source is None:
        return None if destination.is_running else "moved, while the source is silent and the destination does not run it"
    if source.is_running or source.is_job_active:
        return "moved, while the source runs it"
    is_handed_over = source.reason == "migrated"
    return "moved to a domain that has not run" if destination.is_incoming and not is_handed_over else None


def _why_not_home(source: Seen | None, destination: Seen | None) -> str | None:
    if source is None or destination is None:
        return "undone, while a host is silent"
    if not source.exists:
        return "undone, and the source has nothing"
    if destination.is_running:
        return "undone, while the destination runs it"
    has_run = destination.exists and not destination.is_incoming and destination.reason != "failed"
    return "undone, and the copy that has run there may be the newest" if has_run and destination.is_ours else None


def _is_post_copy(*sides: Seen | None) -> bool:
    return any(side is not None and side.reason.startswith("postcopy") for side in sides)
