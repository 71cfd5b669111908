"""How PostgreSQL would go about the queries of a request, and how many rows that makes it read."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from flask.testing import FlaskClient
from sqlalchemy import event

from lmigrate.db.session import engine
from tests.factories.fleet import Fleet, instance_uuid, volume_uuid

_TABLES = (
    r"(?:instances|migrations|block_device_mappings|instance_\w+|progress_samples|migration_steps|domain_sightings"
    r"|volumes|volume_attachments|audit_events)\b"
)
#: a whole table, or a whole index of one with a condition that the index does not have
WHOLE = re.compile(
    rf"Seq Scan on {_TABLES}|Index (?:Only )?Scan (?:Backward )?using (?!ix_instances_busy|ix_instances_anom)\w+ on {_TABLES}.*\n *Filter:"
)


def requests(fleet: Fleet) -> list[str]:
    """Lists and shows, with each filter that has an index to itself."""
    server = f"/v2.1/servers/{instance_uuid(77)}"
    latest = f"req-30000000-0000-4000-8000-{fleet.migrations:012x}"
    return [
        "/v2.1/servers?limit=100",
        f"/v2.1/servers?limit=100&marker={instance_uuid(fleet.instances // 2)}",
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
        server,
        f"{server}/migrations",
        f"{server}/os-instance-actions?limit=100",
        f"/v2.1/servers/{instance_uuid(1)}/os-instance-actions/{latest}",
        f"{server}/os-volume_attachments",
        "/v2.1/os-migrations?limit=100",
        f"/v2.1/os-migrations?limit=100&marker={fleet.migrations // 2}",
        "/v2.1/os-migrations?limit=100&host=node0005",
        "/v2.1/os-migrations?limit=100&source_compute=node0005",
        "/v2.1/os-migrations?limit=100&status=running",
        "/v2.1/os-migrations?limit=100&status=error",
        "/v2.1/os-migrations?limit=100&status=failed",
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
        f"/v1/migrations/{fleet.migrations}",
        "/v1/volumes?limit=100",
        "/v1/volumes?limit=100&backend=san1",
        "/v1/volumes?name=volume-70",
        f"/v1/volumes/{volume_uuid(70)}",
        "/v1/audit?limit=100",
        f"/v1/audit?limit=100&marker={fleet.migrations // 2}",
        "/v1/audit?limit=100&user=operator7",
        "/v1/audit?limit=100&operation=nova.services_update",
        "/v1/audit?limit=100&refused=true",
        "/v1/audit?limit=100&refused=false",
        "/v1/audit?request_id=req-x",
        "/v1/audit?since=2040-01-01T00:00:00Z",
    ]


#: what no index serves, and why that is let be
READ_EVERY_SERVER = {
    "/v2.1/servers?limit=100&sort_key=host": "sorted by any key but created_at",
    "/v2.1/servers?limit=100&progress=50": "no client asks for it by itself",
    "/v2.1/servers?limit=100&launched_at=2026-01-01T00:00:00Z": "no client asks for it by itself",
    "/v2.1/servers?limit=100&node=node0005": "clients ask by host, which has an index",
}
#: what an index serves only while few servers are such
READ_MANY_SERVERS = {
    "/v2.1/servers?limit=100&description=two": "all with an anomaly, and there are few",
    "/v2.1/servers?limit=100&flavor=2vcpu-2048mib": "the newest, until the page is full",
}
#: what the goal for plans leaves out
LEFT_OUT = READ_EVERY_SERVER | READ_MANY_SERVERS


def queries_of(client: FlaskClient, path: str) -> list[tuple[str, Any]]:
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


def plan_of(statement: str, parameters: Any, *, avoids_scans: bool = False) -> str:
    """What PostgreSQL would do; with ``avoids_scans`` it reads a table as a whole only where no index helps."""
    with engine().connect() as connection:
        connection.exec_driver_sql(f"SET LOCAL enable_seqscan = {'off' if avoids_scans else 'on'}")
        return "\n".join(str(line) for (line,) in connection.exec_driver_sql(f"EXPLAIN {statement}", parameters))


def rows_read(statement: str, parameters: Any) -> int:
    """How many rows of tables that grow with the fleet the query reads, those included that it then leaves out."""
    with engine().connect() as connection:
        told = connection.exec_driver_sql(f"EXPLAIN (ANALYZE, TIMING OFF, FORMAT JSON) {statement}", parameters).scalar_one()
    (plan,) = json.loads(told) if isinstance(told, str) else told
    return round(sum(_read_by(node) for node in _nodes(plan["Plan"]) if re.fullmatch(_TABLES, node.get("Relation Name", ""))))


def _nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for inner in plan.get("Plans", []):
        yield from _nodes(inner)


def _read_by(node: dict[str, Any]) -> float:
    each = sum(node.get(name, 0) for name in ("Actual Rows", "Rows Removed by Filter", "Rows Removed by Index Recheck"))
    return float(each * node["Actual Loops"])
