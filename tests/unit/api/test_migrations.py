"""/servers/{id}/migrations and /os-migrations."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

import pytest
from flask.testing import FlaskClient

from lmigrate.db.models import Migration
from lmigrate.db.session import reading
from lmigrate.ids import new_uuid
from lmigrate.states import IN_PROGRESS, TERMINAL, MigrationStatus, VmState
from tests.factories.records import host_row, instance_row, migration_row
from tests.unit.api.conftest import Call

Save = Callable[..., None]
START = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
def moving(save: Save) -> Migration:
    guest = instance_row("node5")
    row = migration_row(guest, status=MigrationStatus.RUNNING, dest_host="node6", user_id="admin", project_id="admin")
    row.memory_total_bytes, row.memory_processed_bytes = 1000, 400
    save(host_row("node6", migration_address="10.0.0.6"), guest, row)
    return row


def test_in_progress_ones_of_a_server(nova: Call, moving: Migration) -> None:
    answer = nova("GET", f"/servers/{moving.instance_uuid}/migrations", "2.80")
    assert answer.json is not None
    (found,) = answer.json["migrations"]
    assert found == {
        "id": moving.id,
        "uuid": moving.uuid,
        "server_uuid": moving.instance_uuid,
        "status": "running",
        "source_compute": "node5",
        "source_node": "node5",
        "dest_compute": "node6",
        "dest_node": "node6",
        "dest_host": "10.0.0.6",
        "memory_total_bytes": 1000,
        "memory_processed_bytes": 400,
        "memory_remaining_bytes": None,  # Nova's schema forbids 0
        "disk_total_bytes": None,
        "disk_processed_bytes": None,
        "disk_remaining_bytes": None,
        "created_at": moving.created_at.strftime("%Y-%m-%dT%H:%M:%S.%f"),
        "updated_at": moving.updated_at.strftime("%Y-%m-%dT%H:%M:%S.%f"),
        "user_id": "admin",
        "project_id": "admin",
    }


@pytest.mark.parametrize("status", sorted(IN_PROGRESS | TERMINAL))
def test_only_what_is_in_progress_is_shown(nova: Call, save: Save, status: MigrationStatus) -> None:
    guest = instance_row("node5")
    row = migration_row(guest, status=status)
    save(guest, row)
    listed = nova("GET", f"/servers/{guest.uuid}/migrations", "2.23").json
    assert listed is not None
    assert len(listed["migrations"]) == (1 if status in IN_PROGRESS else 0)
    shown = nova("GET", f"/servers/{guest.uuid}/migrations/{row.id}", "2.23")
    assert shown.status_code == (200 if status in IN_PROGRESS else 404)


def test_before_its_version_a_resource_does_not_exist(nova: Call, moving: Migration) -> None:
    path = f"/servers/{moving.instance_uuid}/migrations"
    assert nova("GET", path, "2.22").status_code == 404
    assert nova("GET", f"{path}/{moving.id}", "2.22").status_code == 404
    assert nova("DELETE", f"{path}/{moving.id}", "2.23").status_code == 404


def test_shown_by_id_by_uuid_and_with_both_swapped(nova: Call, moving: Migration) -> None:
    server = moving.instance_uuid
    for path in (f"/servers/{server}/migrations/{moving.id}", f"/servers/{server}/migrations/{moving.uuid}"):
        assert nova("GET", path, "2.80").status_code == 200
    # what python-openstackclient sends for `server migration show`
    assert nova("GET", f"/servers/{moving.id}/migrations/{server}", "2.80").status_code == 200


UNKNOWN_MIGRATIONS_ARE_404: list[str] = ["999", "nope", "99999999999999999999999", "²", "-1"]


def test_unknown_migrations_are_404(nova: Call, moving: Migration, subtests: pytest.Subtests) -> None:
    for reference in UNKNOWN_MIGRATIONS_ARE_404:
        with subtests.test(reference=reference):
            path = f"/servers/{moving.instance_uuid}/migrations/{reference}"
            assert nova("GET", path, "2.80").status_code == 404
            assert nova("DELETE", path, "2.80").status_code == 404


def test_a_migration_of_another_server_is_404(nova: Call, save: Save, moving: Migration) -> None:
    other = instance_row("node5")
    other_row = migration_row(other, status=MigrationStatus.RUNNING)
    save(other, other_row)
    path = f"/servers/{other.uuid}/migrations/{moving.id}"
    assert nova("GET", path, "2.80").status_code == 404
    assert nova("DELETE", path, "2.80").status_code == 404
    assert nova("GET", f"/servers/{new_uuid()}/migrations", "2.80").status_code == 404


def test_abort_leaves_a_wish_and_an_action(nova: Call, moving: Migration) -> None:
    answer = nova("DELETE", f"/servers/{moving.instance_uuid}/migrations/{moving.id}", "2.24")
    assert (answer.status_code, answer.data) == (202, b"")
    with reading() as session:
        row = session.get(Migration, moving.id)
        assert row is not None
        assert row.abort_requested_at is not None
    actions = nova("GET", f"/servers/{moving.instance_uuid}/os-instance-actions").json
    assert actions is not None
    assert [action["action"] for action in actions["instanceActions"]] == ["live_migration_cancel"]


@pytest.mark.parametrize(
    ("status", "version", "expected"),
    [
        (MigrationStatus.QUEUED, "2.64", 400),
        (MigrationStatus.PREPARING, "2.64", 400),
        (MigrationStatus.RUNNING, "2.64", 202),
        (MigrationStatus.ACCEPTED, "2.65", 202),
        (MigrationStatus.QUEUED, "2.65", 202),
        (MigrationStatus.PREPARING, "2.65", 202),
        (MigrationStatus.POST_MIGRATING, "2.96", 400),
        (MigrationStatus.RUNNING_POST_COPY, "2.96", 400),
    ],
)
def test_abort_by_status_and_version(nova: Call, save: Save, status: MigrationStatus, version: str, expected: int) -> None:
    guest = instance_row("node5")
    row = migration_row(guest, status=status)
    save(guest, row)
    answer = nova("DELETE", f"/servers/{guest.uuid}/migrations/{row.id}", version)
    assert answer.status_code == expected
    if expected == 400:
        assert answer.json is not None
        assert f"Migration {row.id} state of instance {guest.uuid} is {status.value}. Cannot" in answer.json["badRequest"]["message"]


def test_abort_when_the_server_is_idle_is_409(nova: Call, save: Save) -> None:
    guest = instance_row("node5")
    row = migration_row(guest, status=MigrationStatus.COMPLETED)
    guest.task_state = None
    save(guest, row)
    assert nova("DELETE", f"/servers/{guest.uuid}/migrations/{row.id}", "2.96").status_code == 409


def history(count: int) -> list[object]:
    """Ended migrations of guests on alternating hosts, one a minute."""
    rows: list[object] = []
    for number in range(count):
        guest = instance_row(f"node{5 + number % 2}")
        status = MigrationStatus.COMPLETED if number % 3 else MigrationStatus.FAILED
        moved = START + timedelta(minutes=number)
        rows += [
            guest,
            migration_row(guest, status=status, dest_host="node9", created_at=moved, updated_at=moved, user_id=f"user{number % 2}"),
        ]
    return rows


def test_all_pages_by_uuid_markers(nova: Call, save: Save, client: FlaskClient) -> None:
    save(*history(5))
    seen: list[int] = []
    answer = nova("GET", "/os-migrations?limit=2", "2.59").json
    for _ in range(4):
        assert answer is not None
        seen += [row["id"] for row in answer["migrations"]]
        link = answer.get("migrations_links")
        if link is None:
            break
        parts = urlsplit(link[0]["href"])
        answer = client.get(f"{parts.path}?{parts.query}", headers={"OpenStack-API-Version": "compute 2.59"}).json
    assert seen == [5, 4, 3, 2, 1]


def test_a_marker_may_be_the_number_too(nova: Call, save: Save) -> None:
    save(*history(4))
    answer = nova("GET", "/os-migrations?marker=3", "2.59").json
    assert answer is not None
    assert [row["id"] for row in answer["migrations"]] == [2, 1]
    assert nova("GET", f"/os-migrations?marker={new_uuid()}", "2.59").status_code == 400


FILTERS: list[tuple[str, str, list[int]]] = [
    ("", "2.1", [6, 5, 4, 3, 2, 1]),
    ("limit=1&foo=bar", "2.58", [6, 5, 4, 3, 2, 1]),
    ("host=node9", "2.1", [6, 5, 4, 3, 2, 1]),
    ("host=node5", "2.1", [5, 3, 1]),
    ("source_compute=node6", "2.1", [6, 4, 2]),
    ("source_compute=node9", "2.1", []),
    ("status=failed", "2.1", [4, 1]),
    ("status=nonsense", "2.1", []),
    ("migration_type=live-migration", "2.1", [6, 5, 4, 3, 2, 1]),
    ("migration_type=resize", "2.1", []),
    ("hidden=1", "2.1", []),
    ("instance_uuid=nope", "2.1", []),
    ("changes-since=2026-01-01T00:04:00Z", "2.58", [6, 5, 4, 3, 2, 1]),  # until 2.58 Nova takes it and leaves it alone
    ("changes-before=2026-01-01T00:01:00Z", "2.1", [6, 5, 4, 3, 2, 1]),
    ("changes-since=2026-01-01T00:04:00Z", "2.59", [6, 5]),
    ("changes-before=2026-01-01T00:01:00Z", "2.66", [2, 1]),
    ("user_id=user1", "2.80", [6, 4, 2]),
    ("project_id=other", "2.80", []),
]


def test_filters(nova: Call, save: Save, subtests: pytest.Subtests) -> None:
    save(*history(6))
    for query, version, ids in FILTERS:
        with subtests.test(query=query, version=version, ids=ids):
            answer = nova("GET", f"/os-migrations?{query}", version).json
            assert answer is not None
            assert [row["id"] for row in answer["migrations"]] == ids


STRICT_FROM_2_59: list[tuple[str, str]] = [
    ("foo=1", "2.59"),
    ("changes-before=2026-01-01T00:00:00Z", "2.65"),
    ("user_id=x", "2.79"),
    ("limit=-1", "2.59"),
    ("changes-since=x", "2.59"),
    ("changes-since=0001-01-01T00:00:00%2B05:00", "2.59"),
    ("changes-before=9999-12-31T23:59:59-05:00", "2.66"),
]


def test_strict_from_2_59(nova: Call, subtests: pytest.Subtests) -> None:
    for query, version in STRICT_FROM_2_59:
        with subtests.test(query=query, version=version):
            assert nova("GET", f"/os-migrations?{query}", version).status_code == 400


def test_links_only_while_in_progress(nova: Call, save: Save, moving: Migration) -> None:
    save(*history(1))
    answer = nova("GET", "/os-migrations", "2.23").json
    assert answer is not None
    running, ended = answer["migrations"]
    assert running["links"][0]["href"] == f"http://localhost/v2.1/servers/{moving.instance_uuid}/migrations/{moving.id}"
    assert "links" not in ended
    assert ended["migration_type"] == "live-migration"


def force(nova: Call, server: str, migration: object, version: str = "2.96", body: object = None) -> Any:
    return nova(
        "POST", f"/servers/{server}/migrations/{migration}/action", version, json={"force_complete": None} if body is None else body
    )


def test_force_complete_leaves_a_wish_and_an_action(nova: Call, moving: Migration) -> None:
    answer = force(nova, moving.instance_uuid, moving.id, "2.22")
    assert (answer.status_code, answer.data) == (202, b"")
    assert force(nova, moving.instance_uuid, moving.id).status_code == 202  # twice is once
    with reading() as session:
        assert session.get_one(Migration, moving.id).force_complete_requested_at is not None
    actions = nova("GET", f"/servers/{moving.instance_uuid}/os-instance-actions").json
    assert actions is not None
    assert [action["action"] for action in actions["instanceActions"]] == ["live_migration_force_complete"]


def test_force_complete_of_what_is_being_aborted_is_400(nova: Call, moving: Migration) -> None:
    assert nova("DELETE", f"/servers/{moving.instance_uuid}/migrations/{moving.id}", "2.24").status_code == 202
    answer = force(nova, moving.instance_uuid, moving.id)
    assert (answer.status_code, "is being aborted. Cannot force_complete" in answer.text) == (400, True), answer.text
    with reading() as session:
        assert session.get_one(Migration, moving.id).force_complete_requested_at is None


@pytest.mark.parametrize("body", [{}, {"force_complete": {}}, {"force_complete": None, "more": 1}, {"abort": None}])
def test_force_complete_takes_nothing_but_null(nova: Call, moving: Migration, body: object) -> None:
    assert force(nova, moving.instance_uuid, moving.id, body=body).status_code == 400


def test_force_complete_before_its_version_and_of_unknown_servers_is_404(nova: Call, moving: Migration) -> None:
    assert force(nova, moving.instance_uuid, moving.id, "2.21").status_code == 404
    assert force(nova, new_uuid(), moving.id).status_code == 404


@pytest.mark.parametrize("reference", UNKNOWN_MIGRATIONS_ARE_404)
def test_force_complete_of_an_unknown_migration_is_400(nova: Call, moving: Migration, reference: str) -> None:
    answer = force(nova, moving.instance_uuid, reference)
    assert answer.status_code == 400
    assert "not found for instance" in answer.json["badRequest"]["message"]


@pytest.mark.parametrize("status", sorted(set(MigrationStatus) - {MigrationStatus.RUNNING}))
def test_force_complete_by_status(nova: Call, save: Save, status: MigrationStatus) -> None:
    guest = instance_row("node5")
    row = migration_row(guest, status=status)
    save(guest, row)
    answer = force(nova, guest.uuid, row.id)
    assert answer.status_code == 400
    wanted = f"Migration {row.id} state of instance {guest.uuid} is {status.value}. Cannot force_complete while"
    assert wanted in answer.json["badRequest"]["message"]


@pytest.mark.parametrize("fields", [{"task_state": None}, {"vm_state": VmState.PAUSED}])
def test_force_complete_of_a_server_in_another_state_is_409(nova: Call, save: Save, fields: dict[str, Any]) -> None:
    guest = instance_row("node5")
    row = migration_row(guest, status=MigrationStatus.RUNNING)
    for name, value in fields.items():
        setattr(guest, name, value)
    save(guest, row)
    assert force(nova, guest.uuid, row.id).status_code == 409
