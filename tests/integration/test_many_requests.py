"""200 requests at once: each is accepted, has its migration and its messages, and none overtakes one that was answered before."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import pytest
from flask import Flask
from sqlalchemy import select

from api.app import create_app
from api.nova import live_migrate
from lmigrate import clock
from lmigrate.db.models import Migration, MigrationStep
from lmigrate.db.session import reading, writing
from lmigrate.ids import new_uuid
from lmigrate.migration.dispatch import StepMessage
from lmigrate.migration.steps import STEPS
from tests.factories.records import host_row, instance_row

AT_ONCE = 200
BODY = {"os-migrateLive": {"host": None, "block_migration": "auto"}}


@dataclass
class Sent:
    """A dispatcher that keeps what it is given."""

    migrations: list[int] = field(default_factory=list)

    def send_steps(self, messages: Iterable[StepMessage]) -> None:
        self.migrations.append(next(iter(messages)).migration_id)


@dataclass(frozen=True)
class Answered:
    """One request."""

    began_s: float
    ended_s: float
    status: int
    request_id: str


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> Sent:
    found = Sent()
    monkeypatch.setattr(live_migrate, "CeleryDispatcher", lambda: found)
    return found


@pytest.fixture
def servers(database: str) -> list[str]:
    with writing() as session:
        session.add_all([host_row("node5"), host_row("node6")])
        uuids = [new_uuid() for _ in range(AT_ONCE)]
        session.add_all([instance_row("node5", uuid=uuid) for uuid in uuids])
    return uuids


def ask_all(app: Flask, servers: list[str]) -> list[Answered]:
    start = threading.Barrier(AT_ONCE)

    def ask(server: str) -> Answered:
        client = app.test_client()
        start.wait()
        began_s = clock.monotonic_s()
        answer = client.post(f"/v2.1/servers/{server}/action", json=BODY, headers={"OpenStack-API-Version": "compute 2.96"})
        return Answered(began_s, clock.monotonic_s(), answer.status_code, answer.headers["x-openstack-request-id"])

    with ThreadPoolExecutor(AT_ONCE) as pool:
        return list(pool.map(ask, servers))


def ids_by_request() -> dict[str, int]:
    with reading() as session:
        return {row.request_id: row.id for row in session.scalars(select(Migration))}


def test_none_is_lost_and_none_overtakes(servers: list[str], sent: Sent) -> None:
    answers = ask_all(create_app(), servers)
    assert {answer.status for answer in answers} == {202}
    ids = ids_by_request()
    assert set(ids) == {answer.request_id for answer in answers}
    assert sorted(sent.migrations) == sorted(ids.values())
    with reading() as session:
        first_steps = session.scalars(select(MigrationStep.migration_id).where(MigrationStep.name == STEPS[0].name))
        assert sorted(first_steps) == sorted(ids.values())
    ordered: list[tuple[Answered, Answered]] = [
        (first, second) for first in answers for second in answers if first.ended_s < second.began_s
    ]
    assert all(ids[first.request_id] < ids[second.request_id] for first, second in ordered)
