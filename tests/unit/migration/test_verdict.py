"""Each cell of (source, destination): DESIGN section 7.  Some of them real libvirt has never shown."""

from __future__ import annotations

from dataclasses import replace

import pytest

from lmigrate.migration.verdict import Seen, Verdict, decide
from lmigrate.states import HoldReason, PowerState

RUNNING, PAUSED, SHUTOFF = PowerState.RUNNING, PowerState.PAUSED, PowerState.SHUTOFF

NONE = Seen(exists=False)
HOME = Seen(exists=True, power_state=RUNNING, reason="booted")
HOME_MOVING = Seen(exists=True, power_state=RUNNING, reason="booted", is_job_active=True)
HOME_CANCELLED = Seen(exists=True, power_state=RUNNING, reason="migration-canceled")
SWITCHING = Seen(exists=True, power_state=PAUSED, reason="migration", is_job_active=True)
STUCK = Seen(exists=True, power_state=PAUSED, reason="migration", is_persistent=True)
STUCK_TRANSIENT = Seen(exists=True, power_state=PAUSED, reason="migration")
PAUSED_TRANSIENT = Seen(exists=True, power_state=PAUSED, reason="user")
SENT_TRANSIENT = replace(PAUSED_TRANSIENT, has_sent_memory=True)  # and QEMU says that all of it is away
OWNER_PAUSED = Seen(exists=True, power_state=PAUSED, reason="user")
LEFT = Seen(exists=True, power_state=SHUTOFF, reason="migrated")
FORGOTTEN = Seen(exists=True, power_state=SHUTOFF, reason="unknown")  # libvirtd was restarted since
POWERED_OFF = Seen(exists=True, power_state=SHUTOFF, reason="shutdown")
POST_COPY = Seen(exists=True, power_state=PAUSED, reason="postcopy", is_job_active=True)
POST_COPY_FAILED = Seen(exists=True, power_state=PAUSED, reason="postcopy-failed")

INCOMING = Seen(exists=True, power_state=PAUSED, reason="migration", is_ours=True)
STARTING = Seen(exists=True, power_state=PAUSED, reason="starting-up", is_ours=True)
ARRIVED = Seen(exists=True, power_state=RUNNING, reason="migrated", is_ours=True)
ARRIVED_PAUSED = Seen(exists=True, power_state=PAUSED, reason="user", is_ours=True)
ARRIVED_STOPPED = Seen(exists=True, power_state=SHUTOFF, reason="shutdown", is_ours=True)
ARRIVED_POST_COPY = Seen(exists=True, power_state=RUNNING, reason="postcopy", is_ours=True)
BROKEN_POST_COPY = Seen(exists=True, power_state=RUNNING, reason="postcopy-failed", is_ours=True)
STRANGER = Seen(exists=True, power_state=RUNNING, reason="booted")
STRANGER_PAUSED = Seen(exists=True, power_state=PAUSED, reason="user")

STRANGER_POST_COPY = Seen(exists=True, power_state=RUNNING, reason="postcopy")
LEFT_ALONE = Seen(exists=True, power_state=PAUSED, reason="postcopy")  # libvirt has forgotten the job
POST_COPY_STANDS = Seen(exists=True, power_state=PAUSED, reason="postcopy-failed", is_job_active=True)
BROKEN_PAUSED = Seen(exists=True, power_state=PAUSED, reason="postcopy-failed", is_ours=True)

MOVED, MOVING, NOT_MOVED, HOLD, RESUME = Verdict.MOVED, Verdict.MOVING, Verdict.NOT_MOVED, Verdict.HOLD, Verdict.RESUME


def told(destination: Seen | None) -> str:
    """For the names of the tests."""
    is_foreign = destination is not None and destination.exists and not destination.is_ours
    return f"{destination}{', not ours' if is_foreign else ''}"


CELLS = [
    # the source runs it
    (HOME_MOVING, INCOMING, MOVING),
    (HOME_MOVING, STARTING, MOVING),
    (HOME_MOVING, NONE, MOVING),
    (HOME, NONE, NOT_MOVED),
    (HOME, INCOMING, NOT_MOVED),
    (HOME_CANCELLED, NONE, NOT_MOVED),
    (HOME_CANCELLED, INCOMING, NOT_MOVED),
    (HOME, ARRIVED_STOPPED, HOLD),  # an old copy was started, and the newest disks are there
    (HOME, STRANGER_PAUSED, NOT_MOVED),
    (HOME, ARRIVED, HOLD),
    (HOME, STRANGER, HOLD),
    (HOME, ARRIVED_PAUSED, HOLD),
    (HOME_MOVING, ARRIVED, MOVING),  # asked one after the other
    # the destination runs it
    (STUCK, ARRIVED, MOVED),
    (NONE, ARRIVED, MOVED),
    (LEFT, ARRIVED, MOVED),
    (POWERED_OFF, ARRIVED, MOVED),
    (SWITCHING, ARRIVED, MOVING),
    (POST_COPY, ARRIVED_POST_COPY, MOVING),
    (NONE, STRANGER, HOLD),
    (POWERED_OFF, STRANGER, HOLD),
    (LEFT, STRANGER, HOLD),
    # post-copy: both copies are needed
    (POST_COPY, None, MOVING),
    (POST_COPY, INCOMING, MOVING),  # asked one after the other
    (POST_COPY, ARRIVED, MOVING),
    (POST_COPY, NONE, MOVING),  # its QEMU has died; the source's will say so
    (POST_COPY, BROKEN_POST_COPY, RESUME),
    (POST_COPY, BROKEN_PAUSED, RESUME),
    (LEFT_ALONE, ARRIVED_POST_COPY, RESUME),
    (LEFT_ALONE, ARRIVED, RESUME),
    (POST_COPY_FAILED, ARRIVED_POST_COPY, RESUME),
    (POST_COPY_FAILED, BROKEN_POST_COPY, RESUME),
    (POST_COPY_STANDS, ARRIVED_POST_COPY, RESUME),
    (POST_COPY_STANDS, BROKEN_POST_COPY, RESUME),
    (POST_COPY_STANDS, BROKEN_PAUSED, RESUME),
    (POST_COPY_FAILED, NONE, RESUME),
    (POST_COPY_FAILED, ARRIVED, RESUME),
    (POST_COPY_FAILED, None, RESUME),
    (POWERED_OFF, BROKEN_POST_COPY, RESUME),
    (FORGOTTEN, ARRIVED_POST_COPY, RESUME),
    (NONE, ARRIVED_POST_COPY, RESUME),
    (None, ARRIVED_POST_COPY, RESUME),
    (None, BROKEN_POST_COPY, RESUME),
    (None, STRANGER_POST_COPY, HOLD),
    (NONE, STRANGER_POST_COPY, HOLD),
    (LEFT, ARRIVED_POST_COPY, MOVED),  # the source says that all is there; the destination was asked before
    (LEFT, BROKEN_POST_COPY, MOVED),
    # nobody runs it
    (SWITCHING, INCOMING, MOVING),
    (SWITCHING, NONE, MOVING),
    (STUCK, INCOMING, HOLD),
    (STUCK, NONE, NOT_MOVED),
    (STUCK, ARRIVED_STOPPED, HOLD),
    (STUCK, ARRIVED_PAUSED, HOLD),
    (STUCK_TRANSIENT, NONE, HOLD),
    (STUCK_TRANSIENT, INCOMING, HOLD),
    (PAUSED_TRANSIENT, NONE, NOT_MOVED),
    (SENT_TRANSIENT, NONE, HOLD),
    (SENT_TRANSIENT, INCOMING, NOT_MOVED),
    (SENT_TRANSIENT, ARRIVED, MOVED),
    (OWNER_PAUSED, ARRIVED_PAUSED, HOLD),
    (OWNER_PAUSED, NONE, NOT_MOVED),
    (OWNER_PAUSED, INCOMING, NOT_MOVED),
    (LEFT, INCOMING, MOVED),
    (LEFT, ARRIVED_PAUSED, MOVED),
    (NONE, ARRIVED_PAUSED, MOVED),
    (LEFT, ARRIVED_STOPPED, MOVED),
    (NONE, ARRIVED_STOPPED, MOVED),
    (NONE, INCOMING, HOLD),  # a transient guest that ended by itself in the copy
    (NONE, STARTING, HOLD),
    (NONE, STRANGER_PAUSED, HOLD),
    (LEFT, STRANGER_PAUSED, HOLD),
    (LEFT, NONE, HOLD),
    (NONE, NONE, HOLD),
    (POWERED_OFF, NONE, NOT_MOVED),
    (POWERED_OFF, INCOMING, NOT_MOVED),
    (POWERED_OFF, STARTING, NOT_MOVED),
    (POWERED_OFF, ARRIVED_STOPPED, HOLD),
    (POWERED_OFF, ARRIVED_PAUSED, HOLD),
    (FORGOTTEN, NONE, NOT_MOVED),
    (FORGOTTEN, INCOMING, HOLD),
    (FORGOTTEN, ARRIVED_STOPPED, HOLD),
    (FORGOTTEN, ARRIVED_PAUSED, MOVED),
    (FORGOTTEN, ARRIVED, MOVED),
    # a host does not answer
    (None, ARRIVED, MOVED),
    (None, STRANGER, HOLD),
    (None, INCOMING, HOLD),
    (None, NONE, HOLD),
    (HOME, None, HOLD),
    (HOME_MOVING, None, MOVING),
    (LEFT, None, HOLD),
    (NONE, None, HOLD),
    (None, None, HOLD),
]


@pytest.mark.parametrize(
    ("source", "destination", "verdict"),
    CELLS,
    ids=[f"{number}: {source} | {told(destination)}" for number, (source, destination, _) in enumerate(CELLS)],
)
def test_cell(source: Seen | None, destination: Seen | None, verdict: Verdict) -> None:
    decision = decide(source, destination, RUNNING)
    assert decision.verdict is verdict
    assert decision.reason


HOLDS = [
    (HOME, ARRIVED, HoldReason.RUNS_ON_BOTH),
    (HOME, ARRIVED_PAUSED, HoldReason.COPY_HAS_RUN),
    (POWERED_OFF, ARRIVED_STOPPED, HoldReason.COPY_HAS_RUN),
    (OWNER_PAUSED, ARRIVED_PAUSED, HoldReason.STOPPED_ON_BOTH),
    (STUCK, INCOMING, HoldReason.STOPPED_AT_SWITCHOVER),
    (STUCK_TRANSIENT, NONE, HoldReason.STOPPED_AT_SWITCHOVER),
    (SENT_TRANSIENT, NONE, HoldReason.STOPPED_AT_SWITCHOVER),
    (FORGOTTEN, INCOMING, HoldReason.NOT_HANDED_OVER),
    (NONE, NONE, HoldReason.ON_NEITHER_HOST),
    (NONE, STRANGER, HoldReason.FOREIGN_DOMAIN),
    (None, NONE, HoldReason.SOURCE_SILENT),
    (HOME, None, HoldReason.DESTINATION_SILENT),
]


@pytest.mark.parametrize(
    ("source", "destination", "reason"), HOLDS, ids=[f"{number}: {reason.value}" for number, (_, _, reason) in enumerate(HOLDS)]
)
def test_what_it_is_held_for(source: Seen | None, destination: Seen | None, reason: HoldReason) -> None:
    assert decide(source, destination, RUNNING).hold is reason


@pytest.mark.parametrize(("source", "destination", "verdict"), CELLS, ids=range(len(CELLS)))
def test_only_what_is_held_has_a_reason_to_be(source: Seen | None, destination: Seen | None, verdict: Verdict) -> None:
    assert (decide(source, destination, RUNNING).hold is not None) == (verdict is HOLD)


@pytest.mark.parametrize(
    ("source", "destination", "verdict"),
    [(OWNER_PAUSED, NONE, NOT_MOVED), (OWNER_PAUSED, INCOMING, NOT_MOVED), (LEFT, ARRIVED_PAUSED, MOVED), (NONE, ARRIVED_PAUSED, MOVED)],
)
def test_a_guest_that_its_owner_had_paused(source: Seen, destination: Seen, verdict: Verdict) -> None:
    decision = decide(source, destination, PAUSED)
    assert decision.verdict is verdict
    assert verdict is NOT_MOVED or "as it was before" in decision.reason


SOURCES = [
    *(NONE, HOME, HOME_MOVING, SWITCHING, STUCK, OWNER_PAUSED, LEFT, POWERED_OFF, FORGOTTEN),
    *(POST_COPY, POST_COPY_FAILED, POST_COPY_STANDS, LEFT_ALONE),
]
DESTINATIONS = [
    *(NONE, INCOMING, ARRIVED, ARRIVED_PAUSED, ARRIVED_STOPPED, STRANGER, STRANGER_PAUSED),
    *(ARRIVED_POST_COPY, BROKEN_POST_COPY, BROKEN_PAUSED, STRANGER_POST_COPY),
]


@pytest.mark.parametrize("source", SOURCES, ids=str)
@pytest.mark.parametrize("destination", DESTINATIONS, ids=told)
def test_once_post_copy_has_begun_only_a_guest_that_runs_at_home_is_undone(source: Seen, destination: Seen) -> None:
    plain, begun = decide(source, destination, RUNNING), decide(source, destination, RUNNING, has_post_copy_begun=True)
    if begun.verdict is NOT_MOVED:
        assert source.is_running
    is_held = plain.verdict is NOT_MOVED and not source.is_running
    assert begun.verdict is (HOLD if is_held else plain.verdict)
    assert begun.hold is (HoldReason.POST_COPY_BROKEN if is_held else plain.hold)


@pytest.mark.parametrize("destination", [None, *DESTINATIONS], ids=told)
@pytest.mark.parametrize("source", [POST_COPY, POST_COPY_FAILED, POST_COPY_STANDS, LEFT_ALONE], ids=str)
def test_half_a_guest_is_never_undone_nor_taken_for_the_rest(source: Seen, destination: Seen | None) -> None:
    assert decide(source, destination, RUNNING).verdict in {MOVING, RESUME}


@pytest.mark.parametrize("source", SOURCES, ids=str)
@pytest.mark.parametrize("destination", DESTINATIONS, ids=told)
def test_what_no_verdict_may_do(source: Seen, destination: Seen) -> None:
    verdict = decide(source, destination, RUNNING).verdict
    if verdict is MOVED:  # the source's copy goes
        assert not source.is_running
        assert destination.exists
        assert destination.is_ours
    if verdict is NOT_MOVED:  # what is ours at the destination goes
        assert source.exists
        assert not destination.is_running


def test_seen_survives_the_journal() -> None:
    for seen in [*SOURCES, *DESTINATIONS]:
        assert Seen.from_facts(seen.as_facts()) == seen
