"""A list costs the same number of queries whatever its length, and reads no more than it shows."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import event

from lmigrate.db import clock
from lmigrate.db.session import engine
from lmigrate.states import MigrationStatus
from tests.factories.journal import action_row, sample_row
from tests.factories.records import disk_row, host_row, instance_row, migration_row

Save = Callable[..., None]
LISTS = [
    "/v2.1/servers",
    "/v2.1/servers/detail",
    "/v2.1/os-migrations",
    "/v2.1/os-hypervisors?with_servers=true",
    "/v2.1/os-hypervisors/detail?with_servers=true",
    "/v2.1/os-services",
    "/v1/hosts",
    "/v1/servers",
    "/v1/migrations",
]
MOST = 7


@contextmanager
def counted() -> Iterator[list[str]]:
    statements: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        statements.append(statement)

    event.listen(engine(), "before_cursor_execute", note)
    yield statements
    event.remove(engine(), "before_cursor_execute", note)


def populate(save: Save, first: int, count: int) -> None:
    for number in range(first, first + count):
        guest = instance_row(f"host{number}")
        row = migration_row(guest, status=MigrationStatus.RUNNING, dest_host=f"host{number}")
        save(host_row(f"host{number}"), guest, row)
        save(disk_row(guest, "vda"), disk_row(guest, "vdb"), sample_row(row, 1), sample_row(row, 2), action_row(row))


@pytest.mark.parametrize("path", LISTS)
def test_no_query_per_row(client: FlaskClient, save: Save, path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clock, "LOOK_EVERY_S", float("inf"))  # a look at the database's clock is a query, too
    headers = {"OpenStack-API-Version": "compute 2.75"}
    populate(save, 0, 2)
    with counted() as few:
        assert client.get(path, headers=headers).status_code == 200
    populate(save, 2, 10)
    with counted() as many:
        assert client.get(path, headers=headers).status_code == 200
    assert len(few) == len(many) <= MOST


#: documents of some kB each
HEAVY = {"hosts.cpu", "hosts.connector", "migrations.migrate_data", "migrations.held_known"}


@pytest.mark.parametrize("path", [*LISTS, "/v2.1/os-availability-zone/detail"])
def test_no_list_reads_documents_that_it_does_not_show(client: FlaskClient, save: Save, path: str) -> None:
    populate(save, 0, 2)
    with counted() as statements:
        assert client.get(path, headers={"OpenStack-API-Version": "compute 2.96"}).status_code == 200
    assert statements
    assert [name for name in HEAVY if any(name in statement for statement in statements)] == []


@pytest.mark.parametrize("version", ["2.1", "2.28", "2.87"])
def test_hypervisors_show_their_cpu_where_nova_did(client: FlaskClient, save: Save, version: str) -> None:
    populate(save, 0, 2)
    answer = client.get("/v2.1/os-hypervisors/detail", headers={"OpenStack-API-Version": f"compute {version}"}).get_json()
    assert all("model" in hypervisor["cpu_info"] for hypervisor in answer["hypervisors"])
