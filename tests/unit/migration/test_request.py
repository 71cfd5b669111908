"""A request is accepted whole or not at all."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from sqlalchemy import func, select

from lmigrate.db.clock import utcnow
from lmigrate.db.models import Instance, InstanceAction, Migration, MigrationStep
from lmigrate.db.session import reading, writing
from lmigrate.db.stores import migrations
from lmigrate.errors import (
    BrokerUnavailable,
    InstanceInvalidState,
    InstanceNotFound,
    LmigrateError,
    MigrationPreCheckError,
    PrechecksNotEnded,
    UnknownHost,
)
from lmigrate.ids import new_uuid
from lmigrate.migration.dispatch import Address, StepMessage
from lmigrate.migration.request import LiveMigrationRequest, request_live_migration, wait_for_prechecks
from lmigrate.migration.steps import STEPS
from lmigrate.migration.steps.base import Side
from lmigrate.states import HoldReason, MigrationStatus, Phase, PowerState, StepState, TaskState, VmState
from tests.factories import records
from tests.integration.mail import Mail

#: a guest without volumes has nothing to be granted
WITHOUT_VOLUMES = [step.name for step in STEPS if step.side is not Side.STORAGE]


class NoBroker(Mail):
    """Redis is away."""

    def send_steps(self, messages: list[StepMessage]) -> None:
        raise BrokerUnavailable(reason=f"connection refused; {len(messages)} not sent")


def instance(**fields: Any) -> str:
    with writing() as session:
        session.add(row := records.instance_row(fields.pop("host", "node5"), **fields))
        session.flush()
        return row.uuid


def request(uuid: str, host: str | None = None, mail: Mail | None = None) -> int:
    wanted = LiveMigrationRequest(uuid, host, block_migration=None, disk_over_commit=None, is_forced=False, user_id="me")
    return request_live_migration(wanted, mail or Mail())


@pytest.fixture(autouse=True)
def hosts(database: str) -> None:
    with writing() as session:
        session.add_all([records.host_row("node5"), records.host_row("node6")])


def counts() -> tuple[int, ...]:
    with reading() as session:
        tables = (Migration, MigrationStep, InstanceAction)
        return tuple(session.scalar(select(func.count()).select_from(table)) or 0 for table in tables)


def test_one_transaction(database: str) -> None:
    uuid, mail = instance(), Mail()
    migration_id = request(uuid, "node6", mail)
    with reading() as session:
        migration = session.get_one(Migration, migration_id)
        steps = session.scalars(select(MigrationStep).order_by(MigrationStep.position)).all()
        task_state = session.get_one(Instance, uuid).task_state
    assert (migration.status, migration.phase, migration.source_host, migration.dest_host) == (
        MigrationStatus.ACCEPTED,
        Phase.FORWARD,
        "node5",
        None,
    )
    assert migration.requested_destination == "node6"
    assert migration.power_state_before is PowerState.RUNNING
    assert task_state is TaskState.MIGRATING
    assert [step.name for step in steps] == WITHOUT_VOLUMES
    assert [step.state for step in steps] == [StepState.READY] + [StepState.PENDING] * (len(WITHOUT_VOLUMES) - 1)
    # the destination is not known yet, so nothing is sent beyond the first step
    assert [chain.links for chain in mail.waiting] == [[StepMessage("select_destination", migration_id, 1, Address(place=None))]]


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"vm_state": VmState.STOPPED, "power_state": PowerState.SHUTOFF}, "vm_state stopped"),
        ({"vm_state": VmState.ERROR}, "vm_state error"),
        ({"task_state": TaskState.MIGRATING}, "task_state migrating"),
        ({"anomaly": "running on node5 and node6"}, "state running on node5 and node6"),
        ({"host": None}, "on no host"),
    ],
)
def test_refused_for_its_state(fields: dict[str, Any], words: str) -> None:
    uuid = instance(**fields)
    with pytest.raises(InstanceInvalidState, match=words):
        request(uuid)
    assert counts() == (0, 0, 0)


@pytest.mark.parametrize("vm_state", [VmState.ACTIVE, VmState.PAUSED])
def test_what_may_move(vm_state: VmState) -> None:
    assert request(instance(vm_state=vm_state)) > 0


def test_an_unknown_host_changes_nothing() -> None:
    uuid = instance()
    with pytest.raises(UnknownHost, match="node9"):
        request(uuid, "node9")
    assert counts() == (0, 0, 0)
    request(uuid, "node6")


def test_an_unknown_instance() -> None:
    with pytest.raises(InstanceNotFound):
        request(new_uuid())


def test_of_simultaneous_requests_exactly_one_wins() -> None:
    uuid = instance()
    barrier, results = threading.Barrier(8), list[object]()

    def work() -> None:
        barrier.wait()
        try:
            results.append(request(uuid, "node6"))
        except LmigrateError as error:
            results.append(error)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(isinstance(result, int) for result in results) == 1
    assert sum(isinstance(result, InstanceInvalidState) for result in results) == 7
    assert counts() == (1, len(WITHOUT_VOLUMES), 1)


def test_without_a_broker_the_request_is_kept() -> None:
    assert request(instance(), mail=NoBroker()) > 0
    assert counts() == (1, len(WITHOUT_VOLUMES), 1)


def test_an_earlier_migration_that_is_held_keeps_the_guest() -> None:
    uuid = instance()
    migration_id = request(uuid)
    with writing() as session:
        migrations.hold(session, migrations.lock(session, migration_id), HoldReason.ON_NEITHER_HOST, "who knows")
        migrations.release_instance(session, uuid)
    with pytest.raises(InstanceInvalidState, match="held by an earlier migration"):
        request(uuid)
    with reading() as session:  # the claim was given back with the transaction
        assert session.get_one(Instance, uuid).task_state is None


def change(migration_id: int, **fields: Any) -> None:
    with writing() as session:
        migration = migrations.lock(session, migration_id)
        for name, value in fields.items():
            setattr(migration, name, value)


def test_waiting_for_the_checks_ends_when_they_are_through() -> None:
    migration_id = request(instance())
    change(migration_id, prechecked_at=utcnow())
    wait_for_prechecks(migration_id, 5)


@pytest.mark.parametrize("phase", [Phase.ENDED, Phase.HELD])
def test_waiting_for_the_checks_ends_with_their_reason(phase: Phase) -> None:
    migration_id = request(instance())
    change(migration_id, phase=phase, error="no room")
    with pytest.raises(MigrationPreCheckError, match="no room"):
        wait_for_prechecks(migration_id, 5)


def test_the_reason_is_said_once() -> None:
    migration_id = request(instance())
    change(migration_id, phase=Phase.ENDED, error=str(MigrationPreCheckError(reason="no room")))
    with pytest.raises(MigrationPreCheckError) as error:
        wait_for_prechecks(migration_id, 5)
    assert str(error.value) == "Migration pre-check error: no room"


def test_waiting_for_the_checks_has_an_end() -> None:
    migration_id = request(instance())
    with pytest.raises(PrechecksNotEnded, match=f"migration {migration_id} goes on"):
        wait_for_prechecks(migration_id, 0.1)
