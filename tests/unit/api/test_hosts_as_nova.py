"""Hypervisors, services and instance actions."""

from collections.abc import Callable
from datetime import timedelta

import pytest

from lmigrate.db.clock import utcnow
from lmigrate.db.models import Host
from lmigrate.ids import new_uuid
from lmigrate.states import MigrationStatus, VmState
from tests.factories.journal import action_row, event_row
from tests.factories.records import host_row, instance_row, migration_row
from tests.unit.api.conftest import Call

Save = Callable[..., None]


@pytest.fixture
def hosts(save: Save) -> list[Host]:
    rows = [
        host_row("node5", memory_mib=8192, reserved_memory_mib=512),
        host_row("node6", enabled=False, disabled_reason="new memory", last_seen_at=utcnow() - timedelta(hours=1)),
        host_row("node60", forced_down=True),
    ]
    guests = [instance_row("node5", name="web1"), instance_row("node5", name="off", vm_state=VmState.STOPPED)]
    save(*rows, *guests, migration_row(guests[0], status=MigrationStatus.RUNNING, dest_host="node60"))
    return rows


def test_details_up_to_2_87(nova: Call, hosts: list[Host]) -> None:
    answer = nova("GET", "/os-hypervisors/detail", "2.53").json
    assert answer is not None
    first = answer["hypervisors"][0]
    assert first["id"] == hosts[0].uuid
    assert first["service"] == {"id": hosts[0].service_uuid, "host": "node5", "disabled_reason": None}
    assert (first["memory_mb"], first["memory_mb_used"], first["free_ram_mb"]) == (8192, 1536, 6656)
    assert (first["vcpus"], first["vcpus_used"], first["running_vms"], first["current_workload"]) == (8, 1, 1, 1)
    assert (first["local_gb"], first["free_disk_gb"]) == (100, 50)
    assert first["hypervisor_version"] == 7_002_000
    assert first["cpu_info"]["model"] == "Skylake-Client"


def test_states(nova: Call, hosts: list[Host]) -> None:
    answer = nova("GET", "/os-hypervisors").json
    assert answer is not None
    found = {row["hypervisor_hostname"]: (row["id"], row["state"], row["status"]) for row in answer["hypervisors"]}
    assert found == {"node5": (1, "up", "enabled"), "node6": (2, "down", "disabled"), "node60": (3, "down", "enabled")}


PAGES_FROM_2_33: list[tuple[str, str, int]] = [("limit=1", "2.32", 3), ("limit=1", "2.33", 1), ("marker=1", "2.33", 2)]


def test_pages_from_2_33(nova: Call, hosts: list[Host], subtests: pytest.Subtests) -> None:
    for query, version, count in PAGES_FROM_2_33:
        with subtests.test(query=query, version=version, count=count):
            answer = nova("GET", f"/os-hypervisors?{query}", version).json
            assert answer is not None
            assert len(answer["hypervisors"]) == count
            assert ("hypervisors_links" in answer) == (query == "limit=1" and version == "2.33")


def test_servers_on_each(nova: Call, hosts: list[Host]) -> None:
    for version, expected in [("2.53", [["off", "web1"], None, None]), ("2.75", [["off", "web1"], [], []])]:
        answer = nova("GET", "/os-hypervisors?with_servers=true", version).json
        assert answer is not None
        found = [row.get("servers") for row in answer["hypervisors"]]
        assert [None if servers is None else [server["name"] for server in servers] for servers in found] == expected


def test_by_part_of_the_name(nova: Call, hosts: list[Host]) -> None:
    answer = nova("GET", "/os-hypervisors/detail?hypervisor_hostname_pattern=node6", "2.53").json
    assert answer is not None
    assert [row["hypervisor_hostname"] for row in answer["hypervisors"]] == ["node6", "node60"]
    assert nova("GET", "/os-hypervisors?hypervisor_hostname_pattern=nope", "2.53").status_code == 404
    assert nova("GET", "/os-hypervisors?hypervisor_hostname_pattern=node6&limit=1", "2.53").status_code == 400
    assert nova("GET", "/os-hypervisors?foo=1", "2.53").status_code == 400
    assert nova("GET", f"/os-hypervisors?marker={new_uuid()}", "2.53").status_code == 400


def test_one_by_number_then_by_uuid(nova: Call, hosts: list[Host]) -> None:
    assert nova("GET", "/os-hypervisors/1", "2.52").status_code == 200
    assert nova("GET", "/os-hypervisors/node5", "2.52").status_code == 404
    assert nova("GET", f"/os-hypervisors/{hosts[0].uuid}", "2.53").status_code == 200
    assert nova("GET", f"/os-hypervisors/{new_uuid()}", "2.53").status_code == 404
    invalid = nova("GET", "/os-hypervisors/1", "2.53")
    assert (invalid.status_code, invalid.json) == (400, {"badRequest": {"code": 400, "message": "Invalid uuid 1"}})


SERVICES: list[tuple[str, int]] = [("", 3), ("host=node6", 1), ("binary=nova-compute", 3), ("binary=nova-conductor", 0), ("host=nope", 0)]


def test_services(nova: Call, hosts: list[Host], subtests: pytest.Subtests) -> None:
    for query, count in SERVICES:
        with subtests.test(query=query, count=count):
            answer = nova("GET", f"/os-services?{query}", "2.53").json
            assert answer is not None
            assert len(answer["services"]) == count


def test_a_disabled_service_says_why(nova: Call, hosts: list[Host]) -> None:
    answer = nova("GET", "/os-services?host=node6", "2.69").json
    assert answer is not None
    (service,) = answer["services"]
    assert (service["id"], service["status"], service["state"]) == (hosts[1].service_uuid, "disabled", "down")
    assert (service["disabled_reason"], service["forced_down"], service["binary"]) == ("new memory", False, "nova-compute")
    assert nova("GET", "/os-services?foo=1", "2.74").status_code == 200
    assert nova("GET", "/os-services?foo=1", "2.75").status_code == 400


def test_actions_and_why_it_failed(nova: Call, save: Save) -> None:
    guest = instance_row("node5")
    moved = migration_row(guest, status=MigrationStatus.FAILED)
    save(guest, moved)
    action = action_row(moved, message="Error")
    save(action)
    save(event_row(action, "conductor_live_migrate_instance"))
    save(event_row(action, "compute_check_can_live_migrate_destination", result="Error", details="node6 is full", host="node6"))
    base = f"/servers/{guest.uuid}/os-instance-actions"
    listed = nova("GET", base, "2.58").json
    assert listed is not None
    assert [row["request_id"] for row in listed["instanceActions"]] == [moved.request_id]
    shown = nova("GET", f"{base}/{moved.request_id}", "2.84").json
    assert shown is not None
    failed, passed = shown["instanceAction"]["events"]
    assert (failed["result"], failed["details"], failed["traceback"], failed["host"]) == (
        "Error",
        "node6 is full",
        "node6 is full",
        "node6",
    )
    assert (passed["result"], passed["traceback"]) == ("Success", None)
    assert "host" not in passed
    assert shown["instanceAction"]["message"] == "Error"
    assert nova("GET", f"{base}/req-nope").status_code == 404
    assert nova("GET", f"{base}?marker=req-nope", "2.58").status_code == 400
    assert nova("GET", f"{base}?changes-before=2020-01-01T00:00:00Z", "2.65").status_code == 400
    assert nova("GET", f"{base}?foo=1", "2.57").status_code == 200


def test_actions_of_an_unknown_server(nova: Call) -> None:
    assert nova("GET", f"/servers/{new_uuid()}/os-instance-actions").status_code == 404
    assert nova("GET", f"/servers/{new_uuid()}/os-instance-actions/req-1").status_code == 404
