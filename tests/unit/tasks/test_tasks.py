"""Every message that can be sent has a task that takes it, on the side that it is routed to."""

from __future__ import annotations

import pytest
from celery.backends.base import DisabledBackend

from lmigrate.migration.dispatch import Address, address_of
from lmigrate.migration.steps import BY_NAME, STEPS
from lmigrate.migration.steps.base import Side, no_hypervisor
from tasks import conductor, host, storage
from tasks.app import app, queue


@pytest.mark.parametrize("step", STEPS, ids=lambda step: step.name)
def test_each_step_and_its_undo_has_a_task(step: object) -> None:
    name = getattr(step, "name", "")
    app.loader.import_default_modules()
    assert {f"lmigrate.{name}", f"lmigrate.undo.{name}"} <= set(app.tasks)


def test_no_task_is_left_over() -> None:
    app.loader.import_default_modules()
    steps = {f"lmigrate.{prefix}{name}" for name in BY_NAME for prefix in ("", "undo.")}
    conductor = ("rollback", "decide", "rolled_back", "reconcile", "tidy", "sweep_records")
    places = ("observe", "verify_volume", "sweep_storage", "sweep_host", "take_over")
    others = {f"lmigrate.{name}" for name in (*conductor, *places)}
    assert {name for name in app.tasks if not name.startswith("celery.")} == steps | others


def test_the_conductor_has_no_hypervisor() -> None:
    on_conductor = {step.name for step in STEPS if step.side is Side.CONDUCTOR}
    assert set(conductor.UNDO_TASKS) == on_conductor
    assert set(host.STEP_TASKS) | set(storage.STEP_TASKS) == set(BY_NAME) - on_conductor
    with pytest.raises(LookupError):
        no_hypervisor()


@pytest.mark.parametrize(
    ("address", "name"),
    [(Address(None), "conductor"), (Address("node5"), "host.node5"), (Address("node5", is_long=True), "host.node5.migrate")],
)
def test_queues(address: Address, name: str) -> None:
    assert address.queue == name
    assert queue(name).name == name


@pytest.mark.parametrize("name", ["", "host.", "host.-x", "host.a_b", "other", "host.a b", "host..migrate", "celery"])
def test_no_other_queue_can_be_made(name: str) -> None:
    with pytest.raises(ValueError, match="no such queue"):
        queue(name)


def test_only_the_move_itself_has_the_long_queue() -> None:
    assert [step.name for step in STEPS if address_of(step, "node5").is_long] == ["migrate"]


def test_what_the_broker_settings_promise() -> None:
    """Settled by measurement; docs/adr/0002 says why."""
    expected = {
        "task_acks_late": False,
        "worker_prefetch_multiplier": 1,
        "task_ignore_result": True,
        "accept_content": ["json"],
        "task_serializer": "json",
        "task_reject_on_worker_lost": False,
    }
    assert {name: app.conf[name] for name in expected} == expected
    assert isinstance(app.backend, DisabledBackend)
