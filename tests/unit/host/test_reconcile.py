from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lmigrate.host.reconcile import Sighted, Standing, Viewpoint, reconcile
from lmigrate.states import PowerState, TaskState, VmState

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
HERE = Viewpoint("node5", looked_at=NOON)
ACTIVE_ON_5 = Standing("node5", VmState.ACTIVE, PowerState.RUNNING)
STOPPED_ON_5 = Standing("node5", VmState.STOPPED, PowerState.SHUTOFF)


def running(host: str, **fields: Any) -> Sighted:
    return Sighted(host, PowerState.RUNNING, "booted", fields.pop("seen_at", NOON), **fields)


def defined(host: str) -> Sighted:
    return Sighted(host, PowerState.SHUTOFF, "shutdown", NOON)


def paused(host: str, reason: str = "user") -> Sighted:
    return Sighted(host, PowerState.PAUSED, reason, NOON)


@pytest.mark.parametrize(
    "known", [None, ACTIVE_ON_5, STOPPED_ON_5, Standing(None, VmState.UNKNOWN, PowerState.RUNNING, "running on node5 and node6")]
)
def test_one_host_runs_it(known: Standing | None) -> None:
    assert reconcile([running("node5")], known, HERE) == ACTIVE_ON_5


@pytest.mark.parametrize(
    ("power", "vm_state"),
    [
        (PowerState.RUNNING, VmState.ACTIVE),
        (PowerState.BLOCKED, VmState.ACTIVE),
        (PowerState.PAUSED, VmState.PAUSED),
        (PowerState.SHUTDOWN, VmState.ACTIVE),
        (PowerState.SHUTOFF, VmState.STOPPED),
        (PowerState.CRASHED, VmState.ERROR),
        (PowerState.PMSUSPENDED, VmState.SUSPENDED),
    ],
)
def test_every_state_of_a_single_domain(power: PowerState, vm_state: VmState) -> None:
    assert reconcile([Sighted("node5", power, "user", NOON)], None, HERE) == Standing("node5", vm_state, power)


def test_a_guest_that_was_moved_by_hand() -> None:
    assert reconcile([running("node6")], ACTIVE_ON_5, HERE) == Standing("node6", VmState.ACTIVE, PowerState.RUNNING)


def test_a_definition_elsewhere_does_not_matter() -> None:
    assert reconcile([running("node5"), defined("node6")], STOPPED_ON_5, HERE) == ACTIVE_ON_5


def test_two_hosts_run_it() -> None:
    found = reconcile([running("node6"), running("node5")], ACTIVE_ON_5, HERE)
    assert found == Standing("node5", VmState.UNKNOWN, PowerState.RUNNING, "running on node5 and node6")
    assert reconcile([running("node6"), running("node5")], None, HERE) == Standing(
        None, VmState.UNKNOWN, PowerState.RUNNING, "running on node5 and node6"
    )


def test_a_copy_that_is_only_paused_counts_as_running() -> None:
    found = reconcile([running("node5"), paused("node6")], ACTIVE_ON_5, HERE)
    assert found is not None
    assert found.anomaly == "running on node5 and node6 (paused)"


def test_three_hosts_run_it() -> None:
    found = reconcile([running("node5"), running("node6"), running("node7")], ACTIVE_ON_5, HERE)
    assert found is not None
    assert found.anomaly == "running on node5, node6 and node7"


def test_a_host_that_is_down_may_run_it_still() -> None:
    found = reconcile([running("node5", is_host_up=False), running("node6")], ACTIVE_ON_5, HERE)
    assert found is not None
    assert found.vm_state is VmState.UNKNOWN
    assert found.anomaly == "running on node5 (last seen 2026-11-22 12:00:00 UTC; the host is down) and node6"


def test_the_last_word_of_a_host_that_is_down_stands() -> None:
    assert reconcile([running("node5", is_host_up=False)], ACTIVE_ON_5, HERE) == ACTIVE_ON_5


@pytest.mark.parametrize("reason", ["migration", "postcopy", "starting-up"])
def test_an_arriving_domain_is_no_second_copy(reason: str) -> None:
    assert reconcile([running("node5"), paused("node6", reason)], ACTIVE_ON_5, HERE) == ACTIVE_ON_5


def test_nor_is_a_leaving_one() -> None:
    found = reconcile([paused("node5", "migration"), running("node6")], ACTIVE_ON_5, HERE)
    assert found == Standing("node6", VmState.ACTIVE, PowerState.RUNNING)


def test_an_arriving_domain_alone_makes_no_record() -> None:
    assert reconcile([paused("node6", "migration")], None, HERE) is None


def test_while_it_is_only_on_its_way_the_record_keeps_its_place() -> None:
    found = reconcile([paused("node5", "migration"), paused("node6", "migration")], ACTIVE_ON_5, HERE)
    assert found == Standing("node5", VmState.ACTIVE, PowerState.PAUSED)


def test_a_failed_post_copy_is_named_and_nothing_is_guessed() -> None:
    found = reconcile([paused("node5", "postcopy-failed"), paused("node6", "postcopy-failed")], ACTIVE_ON_5, HERE)
    assert found is not None
    assert (found.host, found.vm_state) == ("node5", VmState.UNKNOWN)
    assert found.anomaly == ("its post-copy migration has failed; each of node5 and node6 may hold a part of its memory: destroy neither")


def test_several_definitions_stay_with_the_record() -> None:
    assert reconcile([defined("node5"), defined("node6")], STOPPED_ON_5, HERE) == STOPPED_ON_5
    found = reconcile([defined("node6"), defined("node7")], STOPPED_ON_5, HERE)
    assert found == Standing("node5", VmState.STOPPED, PowerState.SHUTOFF, "defined on node6 and node7, running on none of them")
    found = reconcile([defined("node6"), defined("node7")], None, HERE)
    assert found == Standing(None, VmState.STOPPED, PowerState.SHUTOFF, "defined on node6 and node7, running on none of them")


def test_a_vanished_guest_keeps_its_record() -> None:
    gone = reconcile([], ACTIVE_ON_5, HERE)
    assert gone == Standing("node5", VmState.UNKNOWN, PowerState.NOSTATE, "its domain has vanished from node5")
    assert reconcile([], gone, HERE) == gone
    assert reconcile([running("node5")], gone, HERE) == ACTIVE_ON_5


def test_only_the_guests_own_host_can_say_that_it_vanished() -> None:
    assert reconcile([], ACTIVE_ON_5, Viewpoint("node6", looked_at=NOON)) == ACTIVE_ON_5


def test_a_guest_without_a_host_vanishes_when_nobody_has_it() -> None:
    doubtful = Standing(None, VmState.UNKNOWN, PowerState.RUNNING, "running on node5 and node6")
    gone = reconcile([], doubtful, HERE)
    assert gone is not None
    assert gone.anomaly == "its domain has vanished from every host"


def test_nothing_seen_and_nothing_known() -> None:
    assert reconcile([], None, HERE) is None


@pytest.mark.parametrize("sightings", [[], [running("node6")], [running("node5"), running("node6")], [defined("node5")]])
def test_while_a_migration_works_on_it_only_the_power_state_follows(sightings: list[Sighted]) -> None:
    known = Standing("node5", VmState.ACTIVE, PowerState.RUNNING, task_state=TaskState.MIGRATING)
    found = reconcile(sightings, known, HERE)
    assert found is not None
    assert (found.host, found.vm_state, found.anomaly, found.task_state) == ("node5", VmState.ACTIVE, None, TaskState.MIGRATING)
    own = next((sighted for sighted in sightings if sighted.host == "node5"), None)
    assert found.power_state is (own.power_state if own else PowerState.RUNNING)


@pytest.mark.parametrize(
    "leaving",
    [
        *(paused("node5", reason) for reason in ("migration", "postcopy", "postcopy-failed")),
        Sighted("node5", PowerState.SHUTOFF, "migrated", NOON),
    ],
)
def test_what_the_move_itself_does_to_the_source_is_not_the_guests_state(leaving: Sighted) -> None:
    known = Standing("node5", VmState.ACTIVE, PowerState.RUNNING, task_state=TaskState.MIGRATING)
    assert reconcile([leaving], known, HERE) == known


def test_what_the_source_said_before_the_switchover_is_void() -> None:
    moved = Viewpoint("node6", looked_at=NOON, moved_at=NOON - timedelta(seconds=1), moved_to="node6")
    stale = running("node5", seen_at=NOON - timedelta(seconds=2))
    on_6 = Standing("node6", VmState.ACTIVE, PowerState.RUNNING)
    assert reconcile([stale, running("node6")], on_6, moved) == on_6
    found = reconcile([running("node5"), running("node6")], on_6, moved)  # seen after it: a true second copy
    assert found is not None
    assert found.anomaly == "running on node5 and node6"


def test_a_look_from_before_the_arrival_does_not_make_it_vanish() -> None:
    on_6 = Standing("node6", VmState.ACTIVE, PowerState.RUNNING)
    early = Viewpoint("node6", looked_at=NOON, moved_at=NOON + timedelta(seconds=1), moved_to="node6")
    assert reconcile([], on_6, early) == on_6


def test_what_a_move_leaves_behind_is_not_where_the_guest_is() -> None:
    on_6 = Standing("node6", VmState.ACTIVE, PowerState.RUNNING)
    left = Sighted("node5", PowerState.SHUTOFF, "migrated", NOON)
    after: dict[str, Any] = {"looked_at": NOON, "moved_at": NOON - timedelta(seconds=1), "moved_to": "node6"}
    assert reconcile([left], on_6, Viewpoint("node5", **after)) == on_6  # node6 has not yet written what it sees
    gone = reconcile([left], on_6, Viewpoint("node6", **after))
    assert gone is not None
    assert gone.anomaly == "its domain has vanished from node6"
    assert reconcile([left], None, HERE) == STOPPED_ON_5


_SIGHTED = st.builds(
    Sighted,
    st.sampled_from(["node5", "node6", "node7"]),
    st.sampled_from(PowerState),
    st.sampled_from(["booted", "user", "migration", "postcopy", "postcopy-failed", "starting-up", "shutdown", "migrated"]),
    st.just(NOON),
    st.booleans(),
)
_KNOWN = st.none() | st.builds(
    Standing,
    st.sampled_from([None, "node5", "node6"]),
    st.sampled_from(VmState),
    st.sampled_from(PowerState),
    st.sampled_from([None, "running on node5 and node6"]),
)


@given(st.lists(_SIGHTED, unique_by=lambda sighted: sighted.host), _KNOWN)
def test_nothing_is_ever_guessed(sightings: list[Sighted], known: Standing | None) -> None:
    found = reconcile(sightings, known, HERE)
    running_on = {sighted.host for sighted in sightings if sighted.is_settled}
    if len(running_on) > 1:
        assert found is not None
        assert found.vm_state is VmState.UNKNOWN
        assert found.anomaly
    if found is not None and found.anomaly is None and (known is None or found.host != known.host):
        assert found.host in {sighted.host for sighted in sightings}
        assert not running_on - {found.host}


@given(st.lists(_SIGHTED, unique_by=lambda sighted: sighted.host), _KNOWN)
def test_reconciling_twice_changes_nothing_more(sightings: list[Sighted], known: Standing | None) -> None:
    once = reconcile(sightings, known, HERE)
    assert reconcile(sightings, once, HERE) == once
    assert reconcile(list(reversed(sightings)), known, HERE) == once
