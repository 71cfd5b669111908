"""No list and no show has to read a whole table that grows with the fleet: PostgreSQL says how it would go about each query.

A table of a test is so small that reading all of it is quickest.  So the planner is told not to, and does it
only where no index helps.  At full size, and as it likes, it is asked by `make bench-api`.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import event

from api.app import create_app
from lmigrate.config import settings
from lmigrate.db.session import engine
from tests.databases import PostgresqlDatabases
from tests.factories.fleet import Fleet, fill, instance_uuid
from tests.servers import postgresql_server

SMALL = Fleet(hosts=60, instances=3_000, migrations=6_000, running=20, stories=500)
SERVER = f"/v2.1/servers/{instance_uuid(77)}"
ACTION = "req-30000000-0000-4000-8000-000000001770"
_TABLES = r"(?:instances|migrations|block_device_mappings|instance_\w+|progress_samples|migration_steps|domain_sightings)\b"
#: a whole table, or a whole index of one with a condition that the index does not have
WHOLE = re.compile(
    rf"Seq Scan on {_TABLES}|Index (?:Only )?Scan (?:Backward )?using (?!ix_instances_busy|ix_instances_anom)\w+ on {_TABLES}.*\n *Filter:"
)

REQUESTS = [
    "/v2.1/servers?limit=100",
    f"/v2.1/servers?limit=100&marker={instance_uuid(2000)}",
    "/v2.1/servers/detail?limit=100",
    "/v2.1/servers/detail?name=guest-777",
    "/v2.1/servers/detail?name=^guest-77[0-9]$",
    "/v2.1/servers/detail?host=node0005",
    "/v2.1/servers/detail?status=MIGRATING",
    "/v2.1/servers/detail?status=ERROR",
    "/v2.1/servers/detail?status=SHUTOFF&limit=100",
    "/v2.1/servers/detail?power_state=6",
    "/v2.1/servers/detail?flavor=9vcpu-1mib",
    "/v2.1/servers/detail?changes-since=2040-01-01T00:00:00Z",
    SERVER,
    f"{SERVER}/migrations",
    f"{SERVER}/os-instance-actions?limit=100",
    f"/v2.1/servers/{instance_uuid(1)}/os-instance-actions/{ACTION}",
    f"{SERVER}/os-volume_attachments",
    "/v2.1/os-migrations?limit=100",
    "/v2.1/os-migrations?limit=100&marker=3000",
    "/v2.1/os-migrations?limit=100&host=node0005",
    "/v2.1/os-migrations?limit=100&source_compute=node0005",
    "/v2.1/os-migrations?limit=100&status=running",
    "/v2.1/os-migrations?limit=100&status=error",
    f"/v2.1/os-migrations?limit=100&instance_uuid={instance_uuid(77)}",
    "/v2.1/os-migrations?limit=100&changes-since=2040-01-01T00:00:00Z",
    "/v2.1/os-migrations?limit=100&user_id=nobody",
    "/v2.1/os-migrations?limit=100&project_id=nobody",
    "/v2.1/os-hypervisors?limit=10",
    "/v2.1/os-hypervisors/detail?limit=10",
    "/v2.1/os-hypervisors/detail?hypervisor_hostname_pattern=node0005&with_servers=true",
    "/v2.1/os-services",
    "/v1/hosts/node0005",
    "/v1/servers?limit=100",
    "/v1/servers?anomaly=true",
    f"/v1/servers/{instance_uuid(77)}",
    "/v1/migrations?limit=100",
    "/v1/migrations?request_id=req-x",
    "/v1/migrations/5999",
]


@pytest.fixture(scope="module")
def client() -> Iterator[FlaskClient]:
    with postgresql_server() as directory, pytest.MonkeyPatch.context() as patch:
        patch.setitem(os.environ, "LMIGRATE_DATABASE__URL", PostgresqlDatabases(directory).upgraded())
        settings.cache_clear()
        engine.cache_clear()
        fill(SMALL)
        yield create_app().test_client()
        engine().dispose()
        engine.cache_clear()
    settings.cache_clear()


def selects(client: FlaskClient, path: str) -> list[tuple[str, Any]]:
    """What the request asks the database."""
    asked: list[tuple[str, Any]] = []

    def note(_connection: Any, _cursor: Any, statement: str, parameters: Any, *_rest: Any) -> None:
        asked.append((statement, parameters))

    event.listen(engine(), "before_cursor_execute", note)
    try:
        answer = client.get(path, headers={"OpenStack-API-Version": "compute 2.96"})
    finally:
        event.remove(engine(), "before_cursor_execute", note)
    assert answer.status_code == 200, answer.text
    return asked


def test_no_table_that_grows_is_read_as_a_whole(client: FlaskClient, subtests: pytest.Subtests) -> None:
    for path in REQUESTS:
        with subtests.test(path=path):
            asked = selects(client, path)
            assert asked
            for statement, parameters in asked:
                assert WHOLE.findall(plan_of(statement, parameters)) == [], statement


def plan_of(statement: str, parameters: Any) -> str:
    with engine().connect() as connection:
        connection.exec_driver_sql("SET LOCAL enable_seqscan = off")
        return "\n".join(str(line) for (line,) in connection.exec_driver_sql(f"EXPLAIN {statement}", parameters))


def test_a_scan_would_be_noticed(client: FlaskClient) -> None:
    assert WHOLE.search(plan_of("SELECT * FROM migrations WHERE error = 'x'", ()))
    assert WHOLE.search(plan_of("SELECT * FROM migrations WHERE error = 'x' ORDER BY created_at, id LIMIT 1", ()))
