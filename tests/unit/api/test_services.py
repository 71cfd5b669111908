"""PUT /os-services in both styles, and what its switches do."""

from collections.abc import Callable
from typing import Any

import pytest
from flask.testing import FlaskClient

from lmigrate.db.models import Host
from lmigrate.db.session import reading
from lmigrate.db.stores import hosts
from lmigrate.ids import new_uuid
from lmigrate.states import MigrationStatus
from tests.factories.records import host_row, instance_row, migration_row
from tests.unit.api.conftest import Call

Save = Callable[..., None]
NODE5 = {"host": "node5", "binary": "nova-compute"}


@pytest.fixture
def host(save: Save) -> Host:
    row = host_row("node5")
    save(row)
    return row


def switches() -> tuple[bool, str | None, bool]:
    """Enabled, the reason why not, forced down."""
    with reading() as session:
        row = hosts.by_name(session, "node5")
    assert row is not None
    return row.enabled, row.disabled_reason, row.forced_down


BY_NAME: list[tuple[str, str, dict[str, Any], dict[str, Any], tuple[bool, str | None, bool]]] = [
    ("2.1", "disable", {}, {"status": "disabled"}, (False, None, False)),
    ("2.1", "disable-log-reason", {"disabled_reason": "x"}, {"status": "disabled", "disabled_reason": "x"}, (False, "x", False)),
    ("2.52", "enable", {}, {"status": "enabled"}, (True, None, False)),
    ("2.11", "force-down", {"forced_down": True}, {"forced_down": True}, (True, None, True)),
    ("2.52", "force-down", {"forced_down": "no"}, {"forced_down": False}, (True, None, False)),
]


def test_up_to_2_52_the_path_says_what(nova: Call, host: Host, subtests: pytest.Subtests) -> None:
    for version, word, extra, told, after in BY_NAME:
        with subtests.test(version=version, word=word):
            answer = nova("PUT", f"/os-services/{word}", version, json=NODE5 | extra)
            assert (answer.status_code, answer.json) == (200, {"service": NODE5 | told})
            assert switches() == after


BY_UUID: list[tuple[dict[str, Any], tuple[bool, str | None, bool]]] = [
    ({"status": "disabled", "disabled_reason": "new memory"}, (False, "new memory", False)),
    ({"forced_down": True}, (False, "new memory", True)),
    ({"status": "enabled", "forced_down": "false"}, (True, None, False)),
    ({"status": "disabled"}, (False, None, False)),
]


def test_from_2_53_the_path_says_which(nova: Call, host: Host, subtests: pytest.Subtests) -> None:
    for body, (enabled, reason, forced_down) in BY_UUID:
        with subtests.test(body=body):
            answer = nova("PUT", f"/os-services/{host.service_uuid}", "2.53", json=body)
            assert answer.status_code == 200
            assert answer.json is not None
            service = answer.json["service"]
            assert (service["id"], service["host"], service["binary"]) == (host.service_uuid, "node5", "nova-compute")
            assert service["status"] == ("enabled" if enabled else "disabled")
            assert (service["disabled_reason"], service["forced_down"]) == (reason, forced_down)
            assert service["state"] == ("down" if forced_down else "up")
            assert switches() == (enabled, reason, forced_down)


REFUSED: list[tuple[str, str, dict[str, Any], int, str]] = [
    ("2.1", "enable", {"host": "node5"}, 400, "'binary' is a required property"),
    ("2.1", "enable", NODE5 | {"host": "node9"}, 404, "Could not find binary nova-compute on host node9."),
    ("2.1", "enable", NODE5 | {"binary": "nova-scheduler"}, 400, "Only nova-compute services can be updated."),
    ("2.1", "disable-log-reason", NODE5, 400, "Missing disabled_reason field"),
    ("2.1", "disable-log-reason", NODE5 | {"disabled_reason": ""}, 400, "disabled_reason"),
    ("2.10", "force-down", NODE5, 404, "Unknown action"),
    ("2.10", "force-down", NODE5 | {"forced_down": True}, 400, "'forced_down' was unexpected"),
    ("2.11", "force-down", NODE5, 400, "Missing forced_down field"),
    ("2.11", "explode", NODE5, 404, "Unknown action"),
    ("2.53", "enable", {"status": "enabled"}, 400, "Invalid uuid enable"),
    ("2.53", new_uuid(), {"status": "enabled"}, 404, "could not be found."),
    ("2.53", "UUID", {}, 400, "No updates were requested."),
    ("2.53", "UUID", {"disabled_reason": "x"}, 400, "No updates were requested."),
    ("2.53", "UUID", {"status": "enabled", "disabled_reason": "x"}, 400, "with status 'enabled' is invalid"),
    ("2.53", "UUID", {"status": "off"}, 400, "status"),
    ("2.53", "UUID", {"forced_down": 1}, 400, "forced_down"),
    ("2.53", "UUID", {"status": None, "forced_down": True}, 400, "status"),
    ("2.52", "disable", NODE5 | {"disabled_reason": None}, 400, "disabled_reason"),
    ("2.53", "UUID", NODE5 | {"status": "enabled"}, 400, "Additional properties are not allowed"),
]


def test_what_is_refused_changes_nothing(nova: Call, host: Host, subtests: pytest.Subtests) -> None:
    for version, word, body, status, message in REFUSED:
        with subtests.test(version=version, word=word, body=body):
            answer = nova("PUT", f"/os-services/{word.replace('UUID', host.service_uuid)}", version, json=body)
            assert answer.status_code == status, answer.text
            assert message in answer.get_data(as_text=True)
            assert switches() == (True, None, False)


def test_a_host_that_was_forced_down_is_down_everywhere(nova: Call, client: FlaskClient, host: Host) -> None:
    nova("PUT", f"/os-services/{host.service_uuid}", "2.53", json={"forced_down": True})
    hypervisor = nova("GET", f"/os-hypervisors/{host.uuid}", "2.53").json
    zone = nova("GET", "/os-availability-zone").json
    shown = client.get("/v1/hosts/node5").json
    assert hypervisor is not None
    assert zone is not None
    assert shown is not None
    assert hypervisor["hypervisor"]["state"] == "down"
    assert zone["availabilityZoneInfo"][0]["zoneState"] == {"available": False}
    assert (shown["state"], shown["down_reason"]) == ("down", "it was forced down by an operator")


DELETED: list[tuple[str, str, int, str]] = [
    ("2.53", "nonsense", 400, "Invalid uuid nonsense"),
    ("2.53", "1", 400, "Invalid uuid 1"),
    ("2.52", "nonsense", 400, "id must be an integer"),
    ("2.52", "99", 404, "Service 99 not found."),
    ("2.53", new_uuid(), 404, "not found."),
    ("2.53", "node5", 409, "is hosting instances"),
    ("2.53", "node6", 409, "has in-progress migrations"),
    ("2.53", "node7", 501, "stays on record"),
    ("2.1", "3", 501, "stays on record"),
]


def test_no_host_is_forgotten(nova: Call, save: Save, subtests: pytest.Subtests) -> None:
    rows = {name: host_row(name) for name in ("node5", "node6", "node7")}
    guest = instance_row("node5")
    save(*rows.values(), guest, migration_row(guest, status=MigrationStatus.RUNNING, dest_host="node6"))
    for version, word, status, message in DELETED:
        with subtests.test(version=version, word=word):
            answer = nova("DELETE", f"/os-services/{rows[word].service_uuid if word in rows else word}", version)
            assert (answer.status_code, message in answer.get_data(as_text=True)) == (status, True), answer.text
    with reading() as session:
        assert len(hosts.all_hosts(session)) == 3


SWITCHED: list[tuple[str, str, Any, int, str]] = [
    ("2.1", "node5", {"status": "disable"}, 501, "compute service set --disable"),
    ("2.42", "node5", {"maintenance_mode": "ENABLE"}, 501, "notImplemented"),
    ("2.42", "node9", {"status": "enable"}, 404, "Host node9 could not be found."),
    ("2.42", "node5", {"status": "off"}, 400, "status"),
    ("2.42", "node5", {}, 400, "is not valid under any of the given schemas"),
    ("2.42", "node5", {"status": None}, 400, "is not valid under any of the given schemas"),
    ("2.42", "node5", {"status": "enable", "power": "off"}, 400, "Additional properties are not allowed"),
    ("2.43", "node5", {"status": "enable"}, 404, "could not be found"),
]


def test_a_host_under_its_oldest_name_is_not_switched(nova: Call, host: Host, subtests: pytest.Subtests) -> None:
    for version, name, body, status, message in SWITCHED:
        with subtests.test(version=version, name=name, body=body):
            answer = nova("PUT", f"/os-hosts/{name}", version, json=body)
            assert (answer.status_code, message in answer.get_data(as_text=True)) == (status, True), answer.text
    for word, name, version, status in [
        ("reboot", "node5", "2.42", 501),
        ("shutdown", "node9", "2.1", 404),
        ("startup", "node5", "2.43", 404),
    ]:
        assert nova("GET", f"/os-hosts/{name}/{word}", version).status_code == status
    assert switches() == (True, None, False)
