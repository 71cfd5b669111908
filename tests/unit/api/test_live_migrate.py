"""os-migrateLive as every microversion takes it, down to the row that it makes."""

import threading
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import select

from lmigrate import clock
from lmigrate.config import settings
from lmigrate.db.clock import utcnow
from lmigrate.db.models import Instance, Migration
from lmigrate.db.session import reading, writing
from lmigrate.ids import new_uuid
from lmigrate.states import MigrationStatus, Phase, PowerState, TaskState, VmState
from tests.factories.records import host_row, instance_row
from tests.unit.api.conftest import Call

Save = Callable[..., None]

OLD = {"host": None, "block_migration": False, "disk_over_commit": False}
NEW = {"host": None, "block_migration": "auto"}
NAMED = {"host": "node6", "block_migration": "auto"}


@pytest.fixture
def guest(save: Save) -> Instance:
    row = instance_row("node5")
    save(host_row("node5"), host_row("node6"), row)
    return row


@pytest.fixture
def patient_for(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """How long the old versions wait for the checks."""

    def set_to(seconds: float) -> None:
        monkeypatch.setenv("LMIGRATE_MIGRATION__SYNC_PRECHECK_TIMEOUT_S", str(seconds))
        settings.cache_clear()

    return set_to


def post(nova: Call, guest: Instance, version: str, body: object, key: str = "os-migrateLive") -> Any:
    return nova("POST", f"/servers/{guest.uuid}/action", version, json={key: body})


def migrations() -> list[Migration]:
    with reading() as session:
        return list(session.scalars(select(Migration)))


def message(answer: Any) -> str:
    (fault,) = answer.json.values()
    return str(fault["message"])


@pytest.mark.parametrize(
    ("version", "body"),
    [
        ("2.34", NEW),
        ("2.34", NAMED | {"force": False}),
        ("2.67", NAMED | {"force": "true"}),
        ("2.68", NAMED),
        ("2.96", NEW | {"block_migration": "1"}),
        ("latest", NAMED | {"block_migration": True}),
    ],
)
def test_accepted_at_once(nova: Call, guest: Instance, version: str, body: dict[str, Any]) -> None:
    answer = post(nova, guest, version, body)
    assert (answer.status_code, answer.data) == (202, b"")
    (row,) = migrations()
    assert row.request_id == answer.headers["x-compute-request-id"]
    assert row.status is MigrationStatus.ACCEPTED
    assert row.requested_destination == body["host"]
    assert row.is_forced is (body.get("force") == "true")
    assert row.block_migration is {"auto": None, "1": True, True: True}[body["block_migration"]]
    assert row.disk_over_commit is None
    shown = nova("GET", f"/servers/{guest.uuid}").json
    assert shown is not None
    assert shown["server"]["status"] == "MIGRATING"  # before the 202: clients poll at once and take ACTIVE for success


REFUSED_BEFORE_ANYTHING_IS_TOUCHED: list[tuple[str, Any, str]] = [
    ("2.1", OLD | {"block_migration": "auto"}, "'auto' is not one of"),
    ("2.1", OLD | {"force": False}, "force"),
    ("2.24", {"host": None, "block_migration": False}, "'disk_over_commit' is a required property"),
    ("2.25", OLD, "disk_over_commit"),
    ("2.25", NEW | {"force": True}, "force"),
    ("2.29", NAMED | {"force": "true"}, "force"),
    ("2.30", OLD, "disk_over_commit"),
    ("2.30", {"block_migration": "auto"}, "'host' is a required property"),
    ("2.30", {"host": None}, "'block_migration' is a required property"),
    ("2.30", NEW | {"force": True}, "Can't force to a non-provided destination"),
    ("2.67", NEW | {"force": "1"}, "Can't force to a non-provided destination"),
    ("2.68", NAMED | {"force": False}, "force"),
    ("2.96", NAMED | {"extra": 1}, "extra"),
    ("2.96", NEW | {"block_migration": "AUTO"}, "block_migration"),
    ("2.96", NEW | {"block_migration": "maybe"}, "block_migration"),
    ("2.96", NEW | {"block_migration": 1}, "block_migration"),
    ("2.96", NEW | {"block_migration": None}, "block_migration"),
    ("2.96", NEW | {"host": ""}, "host"),
    ("2.96", NEW | {"host": "a b"}, "host"),
    ("2.96", NEW | {"host": "node6\n"}, "host"),
    ("2.96", NEW | {"host": "../node6"}, "host"),
    ("2.96", NEW | {"host": 6}, "host"),
    ("2.96", NEW | {"host": "x" * 256}, "host"),
    ("2.96", NEW | {"host": ["node6"]}, "host"),
    ("2.96", [], "os-migrateLive"),
    ("2.96", None, "os-migrateLive"),
    ("2.96", NEW | {"host": "unknown"}, "Compute host unknown could not be found."),
    ("2.1", OLD | {"host": "unknown"}, "Compute host unknown could not be found."),
]


def test_refused_before_anything_is_touched(nova: Call, guest: Instance, subtests: pytest.Subtests) -> None:
    for version, body, word in REFUSED_BEFORE_ANYTHING_IS_TOUCHED:
        with subtests.test(version=version, body=body, word=word):
            answer = post(nova, guest, version, body)
            assert answer.status_code == 400
            assert word in message(answer)
            assert migrations() == []
            with reading() as session:
                found = session.get(Instance, guest.uuid)
                assert found is not None
                assert found.task_state is None


@pytest.mark.parametrize(("word", "meant"), [("yes", True), ("OFF", False)])
def test_booleans_arrive_as_strings_too(nova: Call, guest: Instance, word: object, meant: bool) -> None:
    assert post(nova, guest, "2.34", NEW | {"block_migration": word}).status_code == 202
    assert migrations()[0].block_migration is meant


@pytest.mark.parametrize(
    ("body", "word"),
    [
        ({}, "exactly one key"),
        ({"os-migrateLive": NEW, "pause": None}, "exactly one key"),
        ({"pause": None}, "There is no such action: pause"),
    ],
)
def test_bodies_that_are_no_action(nova: Call, guest: Instance, body: dict[str, Any], word: str) -> None:
    answer = nova("POST", f"/servers/{guest.uuid}/action", "2.96", json=body)
    assert answer.status_code == 400
    assert word in message(answer)


def test_unknown_server_is_404_but_a_wrong_body_is_told_first(nova: Call, save: Save) -> None:
    missing = instance_row("node5")
    assert post(nova, missing, "2.96", NEW).status_code == 404
    assert post(nova, missing, "2.96", {}).status_code == 400


@pytest.mark.parametrize(
    ("fields", "word"),
    [
        ({"vm_state": VmState.STOPPED, "power_state": PowerState.SHUTOFF}, "while it is in vm_state stopped"),
        ({"vm_state": VmState.ERROR}, "while it is in vm_state error"),
        ({"task_state": TaskState.MIGRATING}, "while it is in task_state migrating"),
    ],
)
def test_409_in_novas_words(nova: Call, save: Save, fields: dict[str, Any], word: str) -> None:
    row = instance_row("node5", **fields)
    save(host_row("node5"), row)
    answer = post(nova, row, "2.96", NEW)
    assert answer.status_code == 409
    assert message(answer) == f"Cannot 'os-migrateLive' instance {row.uuid} {word}"


def test_the_second_of_two_requests_is_409(nova: Call, guest: Instance) -> None:
    assert [post(nova, guest, "2.96", NEW).status_code for _ in range(2)] == [202, 409]
    assert len(migrations()) == 1


@pytest.mark.parametrize(("version", "body"), [("2.1", OLD), ("2.25", NEW), ("2.33", NEW | {"force": False})])
def test_old_versions_wait_and_answer_202_when_the_checks_pass(
    nova: Call,
    guest: Instance,
    patient_for: Callable[[float], None],
    version: str,
    body: dict[str, Any],
) -> None:
    patient_for(20)
    with conductor(prechecked_at=utcnow()):
        assert post(nova, guest, version, body).status_code == 202


@pytest.mark.parametrize("version", ["2.25", "2.33"])
def test_old_versions_answer_400_with_the_reason_of_a_failed_check(
    nova: Call,
    guest: Instance,
    patient_for: Callable[[float], None],
    version: str,
) -> None:
    patient_for(20)
    with conductor(phase=Phase.ENDED, status=MigrationStatus.FAILED, error="No valid host was found. node6: it is full"):
        answer = post(nova, guest, version, NEW)
    assert answer.status_code == 400
    assert "node6: it is full" in message(answer)


def test_old_versions_do_not_wait_for_ever(nova: Call, guest: Instance, patient_for: Callable[[float], None]) -> None:
    patient_for(0.2)
    answer = post(nova, guest, "2.1", OLD)
    assert answer.status_code == 500  # as Nova's MessagingTimeout: not refused
    assert "goes on" in message(answer)
    assert migrations()[0].status is MigrationStatus.ACCEPTED


@pytest.mark.parametrize(
    ("version", "body", "forced"),
    [
        ("2.1", OLD | {"host": "node6"}, False),
        ("2.29", NAMED, False),
        ("2.30", NAMED, False),
        ("2.30", NAMED | {"force": "on"}, True),
        ("2.29", NEW, False),
    ],
)
def test_only_force_skips_the_scheduler(
    nova: Call,
    guest: Instance,
    patient_for: Callable[[float], None],
    *,
    version: str,
    body: dict[str, Any],
    forced: bool,
) -> None:
    patient_for(0.05)
    post(nova, guest, version, body)
    assert migrations()[0].is_forced is forced


def test_disk_over_commit_is_taken_where_it_exists(nova: Call, guest: Instance, patient_for: Callable[[float], None]) -> None:
    patient_for(0.05)
    post(nova, guest, "2.24", OLD | {"disk_over_commit": "yes"})
    assert migrations()[0].disk_over_commit is True


class conductor:  # noqa: N801 - reads as what it stands for
    """A conductor that gives the first migration ``fields`` as soon as it appears."""

    def __init__(self, **fields: Any) -> None:
        self._fields = fields
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._thread.join(20)

    def _run(self) -> None:
        deadline_s = clock.monotonic_s() + 20
        while clock.monotonic_s() < deadline_s:
            found = migrations()
            if found:
                with writing() as session:
                    row = session.get(Migration, found[0].id)
                    for name, value in self._fields.items():
                        setattr(row, name, value)
                return
            clock.sleep_s(0.02)


@pytest.mark.parametrize("value", [None, {}, {"host": "node6"}], ids=repr)
def test_a_cold_migration_is_refused_in_clear_words(nova: Call, guest: Instance, value: object) -> None:
    answer = nova("POST", f"/servers/{guest.uuid}/action", "2.56", json={"migrate": value})
    assert answer.status_code == 400
    assert "--live-migration" in answer.get_data(as_text=True)
    assert nova("POST", f"/servers/{new_uuid()}/action", "2.56", json={"migrate": value}).status_code == 404
