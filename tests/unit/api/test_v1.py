from collections.abc import Callable
from datetime import timedelta

import pytest
from flask.testing import FlaskClient

from lmigrate.db.clock import utcnow
from lmigrate.db.models import Migration
from lmigrate.migration.abort import request_abort
from lmigrate.migration.force_complete import request_force_complete
from lmigrate.states import MigrationStatus, Phase, StepState
from tests.factories.journal import MIB, action_row, event_row, sample_row, step_row
from tests.factories.records import disk_row, host_row, instance_row, migration_row, sighting_row

Save = Callable[..., None]


@pytest.fixture
def moved(save: Save) -> Migration:
    guest = instance_row("node5", name="web1")
    row = migration_row(guest, status=MigrationStatus.RUNNING, dest_host="node6", refusals={"node7": "it is full"})
    row.memory_total_bytes, row.memory_remaining_bytes, row.percent = 1024 * MIB, 256 * MIB, 75
    save(host_row("node5"), host_row("node6"), guest, row)
    action = action_row(row)
    save(
        step_row(row, 1, "check_destination", host="node6"),
        step_row(row, 0, "select_destination", host=None, facts={"secret": "hunter2"}),
        step_row(row, 2, "migrate", state=StepState.RUNNING),
        sample_row(row, 512),
        sample_row(row, 256),
        action,
    )
    save(event_row(action, "conductor_live_migrate_instance", details="chose node6"))
    return row


def test_hosts(client: FlaskClient, save: Save, moved: Migration) -> None:
    save(host_row("node7", last_seen_at=utcnow() - timedelta(hours=1)))
    answer = client.get("/v1/hosts?limit=2").json
    assert answer is not None
    assert [row["name"] for row in answer["hosts"]] == ["node5", "node6"]
    assert answer["hosts"][0]["use"]["outgoing"] == answer["hosts"][1]["use"]["incoming"] == 1
    rest = client.get(f"/v1/hosts?limit=2&marker={answer['next_marker']}").json
    assert rest is not None
    assert [(row["name"], row["state"], rest["next_marker"]) for row in rest["hosts"]] == [("node7", "down", None)]
    assert "its daemon was last heard of 3600 s ago" in rest["hosts"][0]["down_reason"]


def test_a_host_and_its_switch(client: FlaskClient, moved: Migration) -> None:
    shown = client.get("/v1/hosts/node5").json
    assert shown is not None
    assert (shown["qemu_version"], shown["libvirt_version"], shown["enabled"]) == ("7.2.0", "9.0.0", True)
    assert "xml" not in shown["cpu"]
    disabled = client.patch("/v1/hosts/node5", json={"enabled": False, "reason": " new memory "}).json
    assert disabled is not None
    assert (disabled["enabled"], disabled["disabled_reason"]) == (False, "new memory")
    enabled = client.patch("/v1/hosts/node5", json={"enabled": True}).json
    assert enabled is not None
    assert (enabled["enabled"], enabled["disabled_reason"]) == (True, None)
    assert client.patch("/v1/hosts/nope", json={"enabled": True}).status_code == 404


REFUSED_SWITCHES: list[dict[str, object]] = [
    {},
    {"enabled": "yes"},
    {"enabled": None},
    {"enabled": True, "reason": "x"},
    {"enabled": False, "x": 1},
]


def test_refused_switches(client: FlaskClient, moved: Migration, subtests: pytest.Subtests) -> None:
    for body in REFUSED_SWITCHES:
        with subtests.test(body=body):
            assert client.patch("/v1/hosts/node5", json=body).status_code == 400


def test_servers(client: FlaskClient, save: Save, moved: Migration) -> None:
    odd = instance_row(None, name="odd", anomaly="running on node5 and node6")
    save(odd)
    save(disk_row(odd, "vda"), sighting_row("node5", odd), sighting_row("node6", odd, description={"note": "odd"}))
    listed = client.get("/v1/servers").json
    assert listed is not None
    by_name = {row["name"]: row for row in listed["servers"]}
    assert (by_name["web1"]["migration_id"], by_name["web1"]["task_state"]) == (moved.id, "migrating")
    assert (by_name["odd"]["migration_id"], by_name["odd"]["anomaly"]) == (None, "running on node5 and node6")
    only = client.get("/v1/servers?anomaly=true").json
    assert only is not None
    assert [row["name"] for row in only["servers"]] == ["odd"]
    shown = client.get(f"/v1/servers/{odd.uuid}").json
    assert shown is not None
    assert [(seen["host"], seen["note"]) for seen in shown["sightings"]] == [("node5", None), ("node6", "odd")]
    assert [disk["device"] for disk in shown["disks"]] == ["vda"]
    assert client.get("/v1/servers/odd").status_code == 404


def test_a_migration_tells_its_story(client: FlaskClient, moved: Migration) -> None:
    for reference in (moved.id, moved.uuid):
        shown = client.get(f"/v1/migrations/{reference}").json
        assert shown is not None
        assert [step["name"] for step in shown["steps"]] == ["select_destination", "check_destination", "migrate"]
        assert shown["refusals"] == {"node7": "it is full"}
        assert [event["details"] for event in shown["events"]] == ["chose node6"]
        assert [sample["memory_remaining_bytes"] for sample in shown["samples"]] == [512 * MIB, 256 * MIB]
        assert shown["progress"]["percent"] == 75
        assert shown["progress"]["expected_downtime_ms"] == 80
        assert shown["instance_name"] == "web1"


def test_what_was_asked_for_is_told_of_the_migration_and_of_its_guest(client: FlaskClient, moved: Migration) -> None:
    def told() -> list[str | None]:
        answers = [client.get(path).json for path in (f"/v1/migrations/{moved.id}", f"/v1/servers/{moved.instance_uuid}")]
        return [answer["pending_request"] for answer in answers if answer is not None]

    assert told() == [None, None]
    request_force_complete(moved.instance_uuid, moved.id)
    assert told() == ["force_complete", "force_complete"]
    request_abort(moved.instance_uuid, moved.id)
    assert told() == ["abort", "abort"]


def test_facts_of_steps_are_not_told(client: FlaskClient, moved: Migration) -> None:
    assert "hunter2" not in client.get(f"/v1/migrations/{moved.id}").get_data(as_text=True)


def test_samples_can_be_left_out(client: FlaskClient, moved: Migration) -> None:
    shown = client.get(f"/v1/migrations/{moved.id}?samples=false").json
    assert shown is not None
    assert shown["samples"] == []


MIGRATIONS: list[tuple[str, int]] = [
    ("", 1),
    ("status=running", 1),
    ("status=completed", 0),
    ("host=node6", 1),
    ("host=node7", 0),
    ("request_id=req-nope", 0),
    ("limit=1", 1),
]


def test_migrations(client: FlaskClient, moved: Migration, subtests: pytest.Subtests) -> None:
    for query, count in MIGRATIONS:
        with subtests.test(query=query, count=count):
            listed = client.get(f"/v1/migrations?{query}").json
            assert listed is not None
            assert len(listed["migrations"]) == count
            assert listed["next_marker"] == (moved.uuid if query == "limit=1" else None)


REFUSED_QUERIES: list[str] = [
    "migrations?status=x",
    "servers?foo=1",
    "hosts?limit=1001",
]


def test_refused_queries(client: FlaskClient, database: str, subtests: pytest.Subtests) -> None:
    for path in REFUSED_QUERIES:
        with subtests.test(path=path):
            answer = client.get(f"/v1/{path}")
            assert answer.status_code == 400
            assert answer.mimetype == "application/problem+json"


UNKNOWN_MIGRATIONS: list[str] = ["0", "x", "99999999999999999999", "%20"]


@pytest.mark.parametrize(
    ("path", "body", "said"),
    [
        ("/v1/hosts/node5", {}, "Invalid value for enabled. It is required."),
        ("/v1/hosts/node5", {"enabled": None}, "Invalid value for enabled: null. true or false is needed."),
        ("/v1/hosts/node5", {"enabled": True, "x": [None, True]}, "Invalid value for x: [null, true]. There is no such field."),
        ("/v1/tokens", {"name": 5}, "Invalid value for name: 5. A text is needed."),
        ("/v1/tokens", {"name": "a b"}, "Invalid value for name: 'a b'. It must match ^[A-Za-z0-9]"),
        ("/v1/tokens", {"name": "x", "lifetime_s": 0}, "Invalid value for lifetime_s: 0. It must be at least 1."),
        ("/v1/volumes", {"name": "x", "backend": "y", "location": "z"}, "Invalid value for location: 'z'. A JSON object is needed."),
    ],
)
def test_what_is_wrong_is_said_without_python(client: FlaskClient, moved: Migration, path: str, body: object, said: str) -> None:
    answer = client.open(path, method="PATCH" if "hosts" in path else "POST", json=body)
    assert (answer.status_code, answer.get_json()["code"]) == (400, "InvalidInput")
    assert answer.get_json()["detail"].startswith(said)


def test_what_the_query_asks_for_is_said_without_python(client: FlaskClient, database: str, subtests: pytest.Subtests) -> None:
    for query, said in {
        "limit=x": "limit: 'x'. A whole number is needed.",
        "limit=0": "limit: '0'. It must be at least 1.",
        "anomaly=perhaps": "anomaly: 'perhaps'. true or false is needed.",
        "foo=1": "foo: '1'. There is no such field.",
    }.items():
        with subtests.test(query):
            assert client.get(f"/v1/servers?{query}").get_json()["detail"] == f"Invalid value for {said}"


def test_unknown_migrations(client: FlaskClient, database: str, subtests: pytest.Subtests) -> None:
    for reference in UNKNOWN_MIGRATIONS:
        with subtests.test(reference=reference):
            assert client.get(f"/v1/migrations/{reference}").status_code == 404


@pytest.mark.parametrize("kind", ["migrations", "servers", "hosts"])
def test_a_marker_of_nothing_is_404(client: FlaskClient, kind: str) -> None:
    answer = client.get(f"/v1/{kind}?marker=x")
    assert answer.status_code == 404
    assert answer.json is not None
    assert answer.json["code"] == "MarkerNotFound"


def test_a_held_migration_is_resolved(client: FlaskClient, save: Save) -> None:
    guest = instance_row("node5")
    row = migration_row(guest, status=MigrationStatus.ERROR, phase=Phase.HELD, dest_host="node6", error="the guest is on neither host")
    save(host_row("node5"), host_row("node6"), guest, row)
    address = f"/v1/migrations/{row.uuid}/resolution"
    assert client.post(address, json={"running_on": "node7"}).status_code == 409
    assert client.post(address, json={}).status_code == 400
    answer = client.post(address, json={"running_on": "node5"})
    assert answer.status_code == 200, answer.json
    assert answer.json is not None
    assert answer.json["phase"] == "rolling-back"
    assert any("admin says that the guest runs on node5" in event["details"] for event in answer.json["events"])
    assert client.post(address, json={"running_on": "node5"}).status_code == 409


def test_the_page_of_the_docs_has_every_operation_and_nothing_from_elsewhere(client: FlaskClient) -> None:
    page = client.get("/v1/docs")
    assert (page.status_code, page.mimetype) == (200, "text/html")
    text = page.get_data(as_text=True)
    for document in ("/v1/openapi.json", "/v1/openapi-nova.json"):
        described = client.get(document).json
        assert described is not None
        assert described["openapi"].startswith("3.1")
        for path in described["paths"]:
            assert f"<code>{path}</code>" in text
    assert "://" not in text
    assert "<script" not in text
