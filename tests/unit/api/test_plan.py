"""A plan says everything that the records know against a move, and changes nothing."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import select

from lmigrate.db.base import Base
from lmigrate.db.clock import utcnow
from lmigrate.db.models import Instance, Volume
from lmigrate.db.session import reading
from lmigrate.ids import new_uuid
from lmigrate.states import MigrationStatus, Phase, PowerState, Role, VmState
from tests.factories.records import disk_row, host_row, instance_row, migration_row
from tests.unit.api.conftest import Call, Guarded

Save = Callable[..., None]


@pytest.fixture
def web1(save: Save) -> Instance:
    row = instance_row("node5", name="web1")
    save(host_row("node5"), host_row("node6"), host_row("node7", memory_mib=8192), row, disk_row(row, "vda"))
    return row


def planned(client: FlaskClient, guest: Instance, query: str = "") -> dict[str, Any]:
    answer = client.get(f"/v1/servers/{guest.uuid}/plan{query}")
    assert answer.status_code == 200, answer.text
    assert answer.json is not None
    return dict(answer.json)


def rows() -> dict[str, list[tuple[Any, ...]]]:
    with reading() as session:
        return {table.name: [tuple(row) for row in session.execute(select(table))] for table in Base.metadata.sorted_tables}


def test_a_guest_that_can_move(client: FlaskClient, web1: Instance) -> None:
    plan = planned(client, web1)
    assert (plan["server"], plan["name"], plan["source_host"]) == (web1.uuid, "web1", "node5")
    assert (plan["is_migratable"], plan["obstacles"]) == (True, [])
    assert [(one["host"], one["is_fit"]) for one in plan["destinations"]] == [("node7", True), ("node6", True), ("node5", False)]
    assert "to current host (node5)" in plan["destinations"][-1]["reasons"][0]
    assert [(disk["device"], disk["is_copied"], disk["size_bytes"]) for disk in plan["disks"]] == [("vda", None, 10 * 1024**3)]
    assert any("CPU" in check for check in plan["not_checked"])
    assert any("shares the directories" in check for check in plan["not_checked"])


def test_every_reason_against_a_host_is_told(client: FlaskClient, save: Save, web1: Instance) -> None:
    gone = utcnow() - timedelta(hours=1)
    save(
        host_row("node8", enabled=False, disabled_reason="new memory", memory_mib=512, last_seen_at=gone, tls_ready=False, tls_reason="old")
    )
    plan = planned(client, web1, "?host=node8")
    assert plan["is_migratable"]
    (only,) = plan["destinations"]
    assert (only["host"], only["is_fit"]) == ("node8", False)
    for part in ("TLS is not ready on node8: old", "last heard of 36", "new memory", "Lack of memory(host:512 <= instance:1024)"):
        assert sum(part in reason for reason in only["reasons"]) == 1, (part, only["reasons"])


def test_a_host_without_tls_does_not_matter_without_tls(
    client: FlaskClient, save: Save, web1: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    from lmigrate.config import settings

    save(host_row("node8", tls_ready=False, tls_reason="old"))
    assert not planned(client, web1, "?host=node8")["destinations"][0]["is_fit"]
    monkeypatch.setenv("LMIGRATE_MIGRATION__TLS", "false")
    settings.cache_clear()
    assert planned(client, web1, "?host=node8")["destinations"][0]["is_fit"]


def test_the_first_obstacle_is_what_a_request_is_refused_with(client: FlaskClient, nova: Call, save: Save, web1: Instance) -> None:
    odd = instance_row("node5", vm_state=VmState.STOPPED, power_state=PowerState.SHUTOFF, anomaly="seen on two hosts")
    lost = instance_row(None)
    save(odd, lost, migration_row(odd, status=MigrationStatus.RUNNING))
    for guest, attributes in ((odd, ("task_state", "vm_state", "seen on two hosts")), (lost, ("it is on no host",))):
        plan = planned(client, guest)
        assert not plan["is_migratable"]
        assert len(plan["obstacles"]) == len(attributes)
        assert all(attribute in told for attribute, told in zip(attributes, plan["obstacles"], strict=True))
        wanted = {"os-migrateLive": {"host": None, "block_migration": "auto"}}
        refused = nova("POST", f"/servers/{guest.uuid}/action", "2.96", json=wanted)
        assert refused.status_code == 409
        assert refused.get_json()["conflictingRequest"]["message"] == plan["obstacles"][0]


def test_a_migration_that_is_held_is_in_the_way(client: FlaskClient, save: Save, web1: Instance) -> None:
    held = instance_row("node5")
    row = migration_row(held, status=MigrationStatus.ERROR, phase=Phase.HELD)
    held.task_state = None
    save(held, row)
    assert "held by an earlier migration" in planned(client, held)["obstacles"][0]


def test_a_source_that_is_down_lets_nothing_go(client: FlaskClient, save: Save, web1: Instance) -> None:
    guest = instance_row("node8")
    save(host_row("node8", forced_down=True, tls_ready=False, tls_reason="old"), guest)
    dead, tls = planned(client, guest)["obstacles"]
    assert "Compute service of node8 is unavailable" in dead
    assert "TLS is not ready on node8: old" in tls


def test_disks(client: FlaskClient, save: Save, web1: Instance) -> None:
    volume = Volume(
        uuid=new_uuid(), name="data", backend="san1", source_name="iqn.x:data/1", location={}, size_bytes=7, created_at=utcnow()
    )
    remote = {"source_type": "network", "destination_type": "volume", "protocol": "iscsi", "path": None}
    save(volume)
    save(
        disk_row(web1, "vdb", volume_uuid=volume.uuid, source_name="iqn.x:data/1", **remote),
        disk_row(web1, "vdc", source_name="iqn.x:other/1", **remote),
        disk_row(web1, "vdd", source_type="block", path="/dev/sdx"),
        disk_row(web1, "sda", device_type="cdrom", is_read_only=True, path="/srv/install.iso", format="raw"),
        disk_row(web1, "sdb", device_type="cdrom", is_read_only=True, format="raw"),
    )
    plan = planned(client, web1)
    shown = {disk["device"]: (disk["is_copied"], disk["volume"], disk["backend"]) for disk in plan["disks"]}
    nothing = (False, None, None)
    in_own_directory = (None, None, None)
    assert shown == {
        "sda": nothing,
        "sdb": in_own_directory,
        "vda": in_own_directory,
        "vdb": (False, "data", "san1"),
        "vdc": nothing,
        "vdd": nothing,
    }
    assert next(disk["size_bytes"] for disk in plan["disks"] if disk["device"] == "vdb") == 7
    block, unregistered = plan["obstacles"]
    assert "vdd is a block device of the host (/dev/sdx)" in block
    assert "vdc (iscsi iqn.x:other/1) is not a registered volume" in unregistered
    assert any("access to the volumes" in check for check in plan["not_checked"])


def test_nothing_is_changed_or_reserved(client: FlaskClient, save: Save, web1: Instance) -> None:
    busy = instance_row("node5")
    save(busy, migration_row(busy, status=MigrationStatus.RUNNING, dest_host="node6"))
    before = rows()
    for guest in (web1, busy):
        planned(client, guest)
        planned(client, guest, "?host=node6")
    assert client.get(f"/v1/servers/{web1.uuid}/plan?host=node9").status_code == 400
    assert rows() == before


@pytest.mark.parametrize(
    ("path", "status", "told"),
    [
        ("{uuid}/plan?host=node9", 400, "node9 could not be found"),
        ("{uuid}/plan?host=a/b", 400, "host"),
        ("11111111-1111-4111-8111-111111111111/plan", 404, "Instance"),
    ],
)
def test_what_is_refused(client: FlaskClient, web1: Instance, path: str, status: int, told: str) -> None:
    answer = client.get(f"/v1/servers/{path.format(uuid=web1.uuid)}")
    assert answer.status_code == status
    assert told in answer.get_json()["detail"]


def test_a_reader_may_ask(guarded: Guarded, save: Save, web1: Instance) -> None:
    path = f"/v1/servers/{web1.uuid}/plan"
    assert guarded.call("GET", path, guarded.token(Role.READER)).status_code == 200
    assert guarded.call("GET", path).status_code == 401
