"""What a host says of a guest on either side, and what is decided by it: the fake says what libvirt says.

The cells in which post-copy broke, and those in which a host is silent, are not here: they need more than two hypervisors.
"""

from __future__ import annotations

import pytest

from lmigrate.migration.look import look
from lmigrate.migration.verdict import Seen, Verdict, decide
from lmigrate.states import PowerState
from tests.conformance.pair import Pair, Side, spec
from tests.conformance.test_hypervisor import MARK, InBackground, state, until

RUNNING, PAUSED, SHUTOFF = PowerState.RUNNING, PowerState.PAUSED, PowerState.SHUTOFF
ABSENT = "no such domain"


def both(pair: Pair, uuid: str) -> tuple[Seen, Seen]:
    return look(pair.source, uuid, MARK), look(pair.destination, uuid, MARK)


def check(pair: Pair, uuid: str, source: str, destination: str, verdict: Verdict, before: PowerState = RUNNING) -> None:
    """The two are as in the table, and so is the verdict."""
    here, there = both(pair, uuid)
    decision = decide(here, there, before)
    assert (str(here), str(there), decision.verdict) == (source, destination, verdict), decision.reason


def move(pair: Pair, uuid: str, *, is_persistent: bool = True) -> None:
    pair.source.migrate(spec(pair, uuid, MARK, is_persistent=is_persistent))


def copying(pair: Pair, *, is_persistent: bool = True) -> tuple[str, InBackground]:
    """A guest whose copy does not end."""
    uuid = pair.boot(is_persistent=is_persistent)
    pair.never_end()
    pair.warm_up()
    call = InBackground(pair.source, spec(pair, uuid, MARK, is_persistent=is_persistent, bandwidth_mib_s=1))
    until(lambda: pair.source.job(uuid).memory_total_bytes > 0 and state(pair.destination, uuid) == (PAUSED, "migration"))
    return uuid, call


def test_at_home(pair: Pair) -> None:
    uuid = pair.boot()
    check(pair, uuid, "running (booted)", ABSENT, Verdict.NOT_MOVED)
    pair.source.pause(uuid)
    check(pair, uuid, "paused (user)", ABSENT, Verdict.NOT_MOVED, PAUSED)
    pair.source.resume(uuid)
    check(pair, uuid, "running (unpaused)", ABSENT, Verdict.NOT_MOVED)


def test_in_the_copy_and_after_its_abort(pair: Pair) -> None:
    uuid, call = copying(pair)
    there = look(pair.destination, uuid, MARK)
    assert (there.is_ours, there.is_incoming, there.has_run, there.is_persistent) == (True, True, False, False)
    check(pair, uuid, "running (booted), migration job active", "paused (migration)", Verdict.MOVING)
    pair.source.pause(uuid)  # as force_complete does
    check(pair, uuid, "paused (migration), migration job active", "paused (migration)", Verdict.MOVING)
    pair.source.abort_job(uuid)
    call.end()
    assert look(pair.destination, uuid, MARK) == Seen(exists=False)
    assert decide(*both(pair, uuid), RUNNING).verdict is Verdict.NOT_MOVED


@pytest.mark.parametrize("reason", ["destroyed", "shutdown", "crashed"])
def test_the_guest_ends_in_the_copy(pair: Pair, reason: str) -> None:
    uuid, call = copying(pair)
    ended = _end(pair, uuid, reason, "source")
    call.end()
    until(lambda: pair.destination.domain(uuid) is None)
    check(pair, uuid, f"shutoff ({ended})", ABSENT, Verdict.NOT_MOVED)


def test_a_transient_guest_ends_in_the_copy(pair: Pair) -> None:
    uuid, call = copying(pair, is_persistent=False)
    _end(pair, uuid, "crashed", "source")
    call.end()
    until(lambda: pair.destination.domain(uuid) is None)
    check(pair, uuid, ABSENT, ABSENT, Verdict.HOLD)


@pytest.mark.parametrize("reason", ["destroyed", "shutdown"])
def test_it_has_moved_and_ends_there(pair: Pair, reason: str) -> None:
    uuid = pair.boot()
    move(pair, uuid)
    check(pair, uuid, "shutoff (migrated)", "running (migrated)", Verdict.MOVED)
    pair.destination.pause(uuid)
    check(pair, uuid, "shutoff (migrated)", "paused (user)", Verdict.MOVED)
    ended = _end(pair, uuid, reason, "destination")
    check(pair, uuid, "shutoff (migrated)", f"shutoff ({ended})", Verdict.MOVED)
    pair.destination.undefine(uuid)
    check(pair, uuid, "shutoff (migrated)", ABSENT, Verdict.HOLD)


def test_a_transient_guest_has_moved(pair: Pair) -> None:
    uuid = pair.boot(is_persistent=False)
    move(pair, uuid, is_persistent=False)
    check(pair, uuid, ABSENT, "running (migrated)", Verdict.MOVED)
    pair.destination.pause(uuid)
    check(pair, uuid, ABSENT, "paused (user)", Verdict.MOVED)
    pair.destination.destroy(uuid)
    check(pair, uuid, ABSENT, ABSENT, Verdict.HOLD)


def test_a_paused_guest_has_moved(pair: Pair) -> None:
    uuid = pair.boot(is_paused=True)
    check(pair, uuid, "paused (user)", ABSENT, Verdict.NOT_MOVED, PAUSED)
    move(pair, uuid)
    check(pair, uuid, "shutoff (migrated)", "paused (user)", Verdict.MOVED, PAUSED)


def test_the_old_copy_is_started_after_the_move(pair: Pair) -> None:
    """By hand, or by its host: it runs twice, and then the newest disks are where nothing runs."""
    uuid = pair.boot()
    move(pair, uuid)
    pair.start(uuid, "source")
    check(pair, uuid, "running (booted)", "running (migrated)", Verdict.HOLD)
    pair.destination.pause(uuid)
    check(pair, uuid, "running (booted)", "paused (user)", Verdict.HOLD)
    ended = _end(pair, uuid, "shutdown", "destination")
    check(pair, uuid, "running (booted)", f"shutoff ({ended})", Verdict.HOLD)
    pair.source.pause(uuid)
    check(pair, uuid, "paused (user)", f"shutoff ({ended})", Verdict.HOLD)


def test_somebody_elses_domain_is_there(pair: Pair) -> None:
    uuid = pair.boot()
    pair.destination.define(pair.source.domain_xml(uuid, is_inactive=True))
    there = look(pair.destination, uuid, MARK)
    assert (there.exists, there.is_ours, there.has_run) == (True, False, False)
    check(pair, uuid, "running (booted)", "shutoff (unknown)", Verdict.NOT_MOVED)
    pair.start(uuid, "destination")
    check(pair, uuid, "running (booted)", "running (booted)", Verdict.HOLD)
    pair.source.destroy(uuid)
    check(pair, uuid, "shutoff (destroyed)", "running (booted)", Verdict.HOLD)


#: QEMU is told to quit by its monitor: libvirt hears of it, or first sees that the monitor is closed
SEEN_AS = {"shutdown": {"shutdown", "crashed"}}


def _end(pair: Pair, uuid: str, reason: str, side: Side) -> str:
    """End the guest that way; libvirt's reason, empty for a transient guest, of which nothing is left."""
    hypervisor = pair.source if side == "source" else pair.destination
    if reason == "destroyed":
        hypervisor.destroy(uuid)
    elif reason == "shutdown":
        pair.power_off(uuid, side)
    else:
        pair.crash(uuid)
    until(lambda: (seen := state(hypervisor, uuid)) is None or seen[0] is SHUTOFF)
    seen = state(hypervisor, uuid)
    assert seen is None or seen[1] in SEEN_AS.get(reason, {reason})
    return "" if seen is None else seen[1]
