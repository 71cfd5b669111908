"""libvirt's statistics as ours."""

from __future__ import annotations

import libvirt
import pytest

from lmigrate.states import PowerState
from lmigrate.virt import names
from lmigrate.virt.jobstats import from_libvirt
from lmigrate.virt.types import JobStats, JobType

#: as libvirt 9.0 gave it in the middle of a copy
RUNNING = {
    "type": 2,
    "operation": 5,
    "time_elapsed": 1234,
    "downtime": 300,
    "memory_total": 1_000,
    "memory_processed": 700,
    "memory_remaining": 250,
    "memory_bps": 100,
    "memory_dirty_rate": 10,
    "memory_page_size": 4096,
    "memory_iteration": 4,
    "disk_total": 3_000,
    "disk_processed": 2_000,
    "disk_remaining": 750,
    "disk_bps": 11,
    "auto_converge_throttle": 20,
}


def test_running() -> None:
    stats = from_libvirt(RUNNING, JobType.UNBOUNDED, "migration-out")
    assert stats == JobStats(
        JobType.UNBOUNDED,
        "migration-out",
        elapsed_ms=1234,
        iteration=4,
        memory_total_bytes=1_000,
        memory_processed_bytes=700,
        memory_remaining_bytes=250,
        disk_total_bytes=3_000,
        disk_processed_bytes=2_000,
        disk_remaining_bytes=750,
        dirty_rate_bps=40_960,
        bandwidth_bps=111,
        downtime_ms=300,
        throttle_percent=20,
    )
    assert stats.percent == 75


def test_nothing_is_known_yet() -> None:
    stats = from_libvirt({"type": 0}, JobType.NONE, None)
    assert (stats.percent, stats.downtime_ms, stats.throttle_percent, stats.is_active) == (0, None, None, False)


@pytest.mark.parametrize(("remaining", "percent"), [(0, 100), (1_000, 0), (5_000, 0), (1, 100)])
def test_percent_stays_between_0_and_100(remaining: int, percent: int) -> None:
    assert JobStats(JobType.UNBOUNDED, memory_total_bytes=1_000, memory_remaining_bytes=remaining).percent == percent


def test_names() -> None:
    assert names.power_state(libvirt.VIR_DOMAIN_PAUSED) is PowerState.PAUSED
    assert names.power_state(99) is PowerState.NOSTATE
    assert names.reason(PowerState.PAUSED, 2) == "migration"
    assert names.reason(PowerState.PAUSED, 11) == "starting-up"
    assert names.reason(PowerState.PAUSED, 13) == "postcopy-failed"
    assert names.reason(PowerState.SHUTOFF, 4) == "migrated"
    assert names.reason(PowerState.RUNNING, 6) == "migration-canceled"
    assert names.reason(PowerState.RUNNING, 999) == "999"
    assert names.operation(5) == "migration-out"
    assert names.operation(999) == "999"
