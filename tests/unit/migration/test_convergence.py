"""The policy for a copy that does not end, against Nova's own vectors."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lmigrate.config import MigrationSettings
from lmigrate.migration.convergence import Action, Flow, Stage, data_gib, decide, downtime_steps, permitted_downtime_ms
from lmigrate.virt.types import JobStats, JobType

RUNNING = JobStats(JobType.UNBOUNDED, "migration-out", iteration=3, memory_total_bytes=1 << 30)
COPYING_DISKS = JobStats(JobType.UNBOUNDED, "migration-out", disk_total_bytes=1 << 30)


def test_nova_defaults_for_2_gib() -> None:
    steps = list(downtime_steps(MigrationSettings(), 2))
    assert steps == [(150 * number, 50 + 45 * number) for number in range(11)]


def test_nova_vector() -> None:
    options = MigrationSettings(max_downtime_ms=400, initial_downtime_ms=40, downtime_steps=10, downtime_delay_s=30)
    assert list(downtime_steps(options, 3))[:3] == [(0, 40), (90, 76), (180, 112)]
    assert list(downtime_steps(options, 3))[-1] == (900, 400)


def test_a_maximum_below_the_initial_pause() -> None:
    assert {downtime for _, downtime in downtime_steps(MigrationSettings(max_downtime_ms=20), 2)} == {20}


@pytest.mark.parametrize(
    ("memory_mib", "disks", "gib"),
    [(512, [], 2), (4096, [], 4), (2048, [1], 4), (4096, [10 * 1024**3, 1], 16)],
)
def test_data_counts_at_least_2_gib_each(memory_mib: int, disks: list[int], gib: float) -> None:
    assert data_gib(memory_mib, disks) == gib


@given(elapsed_s=st.floats(0, 1e6), gib=st.floats(2, 1e4))
def test_the_permitted_pause_stays_between_its_bounds_and_never_sinks(elapsed_s: float, gib: float) -> None:
    options = MigrationSettings()
    now = permitted_downtime_ms(options, gib, elapsed_s)
    assert options.initial_downtime_ms <= now <= options.max_downtime_ms
    assert permitted_downtime_ms(options, gib, elapsed_s + 100) >= now


def act(elapsed_s: float, stage: Stage | None = None, stats: JobStats = RUNNING, **options: object) -> tuple[Action, int | None]:
    settings = MigrationSettings.model_validate(options)
    choice = decide(stats, settings, size_gib=2, elapsed_s=elapsed_s, stage=stage or Stage(downtime_ms=50))
    assert (choice.reason == "") == (choice.action is Action.WAIT)
    return choice.action, choice.downtime_ms


def test_first_the_initial_pause_is_set() -> None:
    assert act(0, Stage()) == (Action.RAISE_DOWNTIME, 50)


def test_nothing_to_do_between_two_steps() -> None:
    assert act(149) == (Action.WAIT, None)


def test_each_step_once() -> None:
    assert act(150) == (Action.RAISE_DOWNTIME, 95)
    assert act(151, Stage(downtime_ms=95)) == (Action.WAIT, None)


@pytest.mark.parametrize(("action", "expected"), [("abort", Action.ABORT), ("force_complete", Action.PAUSE)])
def test_the_timeout_is_by_size(action: str, expected: Action) -> None:
    assert act(1600, Stage(downtime_ms=500), timeout_action=action)[0] is Action.WAIT
    assert act(1601, Stage(downtime_ms=500), timeout_action=action)[0] is expected


def test_no_timeout() -> None:
    assert act(1e6, Stage(downtime_ms=500), completion_timeout_s=0)[0] is Action.WAIT


def test_a_guest_that_we_have_paused_is_left_to_arrive() -> None:
    assert act(1e6, Stage(downtime_ms=500, is_paused=True), timeout_action="force_complete")[0] is Action.WAIT


POSSIBLE = Stage(downtime_ms=500, is_post_copy_possible=True)
ORDERED = Stage(downtime_ms=500, is_post_copy_possible=True, is_post_copy_ordered=True)
FORCED = Stage(downtime_ms=50, is_completion_forced=True)
FORCED_POSSIBLE = Stage(downtime_ms=50, is_completion_forced=True, is_post_copy_possible=True)


@pytest.mark.parametrize(
    ("elapsed_s", "stage", "action"),
    [
        (1, FORCED, Action.PAUSE),
        (1, FORCED_POSSIBLE, Action.POST_COPY),
        (1600, POSSIBLE, Action.WAIT),
        (1601, POSSIBLE, Action.POST_COPY),
        (1601, Stage(downtime_ms=500), Action.PAUSE),
        (1, ORDERED, Action.POST_COPY),  # the daemon died between the order and the deed
    ],
)
def test_completion_is_by_post_copy_where_possible(elapsed_s: float, stage: Stage, action: Action) -> None:
    assert act(elapsed_s, stage, timeout_action="force_complete")[0] is action


def test_a_request_to_complete_comes_before_the_timeouts_abort() -> None:
    assert act(1e6, FORCED_POSSIBLE, timeout_action="abort")[0] is Action.POST_COPY


def test_post_copy_waits_until_the_disks_are_copied() -> None:
    assert act(1, FORCED_POSSIBLE, COPYING_DISKS)[0] is Action.WAIT


def test_what_flows_and_what_stands_still() -> None:
    flow = Flow(since_s=10)
    first = JobStats(JobType.UNBOUNDED, memory_remaining_bytes=100, memory_processed_bytes=5)
    assert not flow.look(first, 12)  # it takes two looks
    assert not flow.look(first, 13)
    assert (flow.still_s(13), flow.has_moved) == (3, False)
    assert flow.look(JobStats(JobType.UNBOUNDED, memory_remaining_bytes=90, memory_processed_bytes=15), 14)
    assert (flow.still_s(15), flow.has_moved) == (1, True)
