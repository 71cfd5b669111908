"""Nothing is forgotten: each step, each undo and each effect that a hypervisor or a storage can be asked for has its points."""

from __future__ import annotations

from pathlib import Path

import pytest

from lmigrate.migration.steps import STEPS
from lmigrate.storage.drivers.base import Driver
from lmigrate.virt.protocol import Hypervisor
from tests.crash.enumeration import passed
from tests.crash.points import DRIVER_READS, HYPERVISOR_READS, Point
from tests.crash.scenarios import SCENARIOS

LAST_THAT_IS_UNDONE = "post_at_destination"  # up to its switchover
NOT_OF_A_MIGRATION = {"storage.create", "storage.delete"}


@pytest.fixture
def crashed(database: str, tmp_path: Path) -> list[Point]:
    return [point for scenario in SCENARIOS for point in passed(scenario, tmp_path / "hosts") if scenario.is_crashed_at(point)]


def test_every_step_and_every_undo_is_crashed(crashed: list[Point]) -> None:
    names = [step.name for step in STEPS]
    undone = names[: names.index(LAST_THAT_IS_UNDONE) + 1]
    works = {point.work.partition(".san")[0] for point in crashed}
    assert {*names, *(f"undo.{name}" for name in undone)} <= works
    assert works - {*names, *(f"undo.{name}" for name in undone)} == {
        "request",
        "rollback",
        "observe.source",
        "observe.destination",
        "decide",
        "rolled_back",
        "reconcile",
    }


def test_every_work_is_crashed_around_its_claim_and_around_its_end(crashed: list[Point]) -> None:
    for name in {point.work for point in crashed}:
        of_work = {(point.effect, point.moment) for point in crashed if point.work == name}
        assert {("commit", "before"), ("commit", "after"), ("the chain's next message", "before")} <= of_work, name


def test_every_effect_on_a_hypervisor_and_on_storage_is_crashed(crashed: list[Point]) -> None:
    known = {f"hypervisor.{name}" for name in _methods(Hypervisor) - HYPERVISOR_READS} | {
        f"storage.{name}" for name in _methods(Driver) - DRIVER_READS
    }
    for moment in ("before", "after"):
        reached = {point.effect for point in crashed if point.moment == moment}
        assert known - reached == NOT_OF_A_MIGRATION, moment


def _methods(protocol: type) -> set[str]:
    return {name for name in vars(protocol) if not name.startswith("_")}
