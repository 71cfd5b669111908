"""What people and scripts see: output, JSON and exit codes, over real HTTP."""

import json
import re
from collections.abc import Callable
from datetime import timedelta

import pytest
from click.testing import CliRunner

from lmigrate import clock
from lmigrate.cli.exit_codes import ExitCode
from lmigrate.cli.main import main
from lmigrate.db.models import Host, Instance, Migration
from lmigrate.db.session import reading
from lmigrate.states import MigrationStatus, Phase, StepState, VmState
from tests.factories.journal import action_row, event_row, sample_row, step_row
from tests.factories.records import disk_row, host_row, instance_row, migration_row, sighting_row
from tests.unit.cli.conftest import Cli

Save = Callable[..., None]


@pytest.fixture
def web1(save: Save) -> Instance:
    row = instance_row("node5", name="web1")
    save(host_row("node5"), host_row("node6"), row)
    save(disk_row(row, "vda"), sighting_row("node5", row))
    return row


def test_lists_are_plain_lines_when_piped(cli: Cli, web1: Instance) -> None:
    lines = cli("server", "list").output.splitlines()
    assert lines[0].split() == ["UUID", "NAME", "HOST", "STATE", "MEMORY", "VCPUS", "ANOMALY"]
    assert lines[1].split() == [web1.uuid, "web1", "node5", "active", "1.0", "GiB", "1", "-"]


@pytest.mark.parametrize("kind", ["server", "host", "migration"])
def test_lists_as_json(cli: Cli, web1: Instance, kind: str) -> None:
    shown = cli(kind, "list", "-o", "json")
    assert shown.exit_code == 0
    assert isinstance(json.loads(shown.output), list)


def test_lists_go_on_to_the_last_page(cli: Cli, save: Save) -> None:
    save(*[instance_row("node5", name=f"web{number}") for number in range(205)])
    assert len(json.loads(cli("server", "list", "-o", "json").output)) == 205
    assert len(json.loads(cli("server", "list", "-o", "json", "--limit", "203").output)) == 203
    assert len(json.loads(cli("server", "list", "-o", "json", "--name", "web20").output)) == 6


def test_show_by_name_and_by_uuid(cli: Cli, web1: Instance) -> None:
    for reference in ("web1", web1.uuid, web1.uuid.upper()):
        shown = cli("server", "show", reference)
        assert shown.exit_code == 0, shown.output
        assert web1.uuid in shown.output
        assert "vda" in shown.output
    assert json.loads(cli("server", "show", "web1", "-o", "json").output)["uuid"] == web1.uuid


def test_a_name_must_be_of_one_server_only(cli: Cli, save: Save, web1: Instance) -> None:
    missing = cli("server", "show", "web")
    assert (missing.exit_code, "lmigrate server list" in missing.output) == (ExitCode.NOT_FOUND, True)
    twin = instance_row("node6", name="web1")
    save(twin)
    doubled = cli("server", "migrate", "web1")
    assert doubled.exit_code == ExitCode.CONFLICT
    assert web1.uuid in doubled.output
    assert twin.uuid in doubled.output


def test_an_unknown_uuid_is_not_found(cli: Cli, api_url: str) -> None:
    assert cli("server", "show", "5d9b2f3e-0c1f-4a43-9f0c-3a7a5f8f2d11").exit_code == ExitCode.NOT_FOUND
    assert cli("migration", "show", "99").exit_code == ExitCode.NOT_FOUND
    assert cli("host", "show", "../nope").exit_code == ExitCode.NOT_FOUND


def test_migrate_prints_no_control_characters(cli: Cli, save: Save) -> None:
    row = instance_row("node5", name="web\x1b[2J1")
    save(host_row("node5"), host_row("node6"), row)
    shown = cli("server", "migrate", row.uuid)
    assert shown.exit_code == 0, shown.output
    assert "accepted: web\N{REPLACEMENT CHARACTER}[2J1 leaves node5." in shown.output
    assert "\x1b" not in shown.output


def test_migrate_says_how_to_follow(cli: Cli, web1: Instance) -> None:
    shown = cli("server", "migrate", "web1", "--host", "node6", "--block-migration", "true")
    assert shown.exit_code == 0, shown.output
    assert "Migration 1 accepted: web1 leaves node5." in shown.output
    assert "lmigrate migration watch 1" in shown.output
    with reading() as session:
        row = session.get(Migration, 1)
        assert row is not None
        assert (row.requested_destination, row.block_migration, row.is_forced) == ("node6", True, False)


def test_migrate_by_force_and_as_json(cli: Cli, web1: Instance) -> None:
    shown = cli("server", "migrate", web1.uuid, "--host", "node6", "--force", "-o", "json")
    assert shown.exit_code == 0, shown.output
    accepted = json.loads(shown.output)
    assert (accepted["is_forced"], accepted["block_migration"], accepted["status"]) == (True, None, "accepted")


def test_refusals_of_migrate(cli: Cli, save: Save, web1: Instance) -> None:
    assert cli("server", "migrate", "web1", "--force").exit_code == ExitCode.USAGE
    unknown = cli("server", "migrate", "web1", "--host", "node9")
    assert (unknown.exit_code, "node9 could not be found" in unknown.output) == (ExitCode.NOT_FOUND, True)
    save(instance_row("node5", name="off", vm_state=VmState.STOPPED))
    stopped = cli("server", "migrate", "off")
    assert (stopped.exit_code, "vm_state stopped" in stopped.output) == (ExitCode.CONFLICT, True)


def moved(save: Save, web1: Instance, status: MigrationStatus, **fields: object) -> Migration:
    row = migration_row(web1, status=status, dest_host="node6", **fields)
    save(row)
    return row


@pytest.mark.parametrize(
    ("status", "code", "word"),
    [
        (MigrationStatus.COMPLETED, ExitCode.OK, "web1 runs on node6, the guest paused for 42 ms"),
        (MigrationStatus.FAILED, ExitCode.MIGRATION_FAILED, "it is full. The guest is on node5"),
        (MigrationStatus.ERROR, ExitCode.MIGRATION_FAILED, "held for an operator: it is full"),
        (MigrationStatus.CANCELLED, ExitCode.MIGRATION_CANCELLED, "cancelled"),
    ],
)
def test_watch_ends_with_what_became_of_it(
    cli: Cli, save: Save, web1: Instance, status: MigrationStatus, code: ExitCode, word: str
) -> None:
    row = moved(save, web1, status, phase=Phase.ENDED, error="it is full", downtime_ms=42)
    shown = cli("migration", "watch", str(row.id))
    assert shown.exit_code == code
    assert word in shown.output


def test_show_tells_the_story(cli: Cli, save: Save, web1: Instance) -> None:
    row = moved(
        save,
        web1,
        MigrationStatus.RUNNING,
        refusals={"node7": "it is full"},
        memory_total_bytes=2**30,
        memory_remaining_bytes=2**28,
        percent=75,
    )
    action = action_row(row)
    save(
        action,
        step_row(row, 0, "select_destination", host=None),
        step_row(row, 1, "migrate", state=StepState.RUNNING),
        sample_row(row, 256),
    )
    save(event_row(action, "conductor_live_migrate_instance", details="chose node6"))
    shown = cli("migration", "show", row.uuid).output
    for word in ("node5 → node6", "select_destination", "conductor", "chose node6", "node7  it is full", "75%", "256 MiB of 1.0 GiB left"):
        assert word in shown


def test_seconds_are_those_of_the_last_try(cli: Cli, save: Save, web1: Instance) -> None:
    row = moved(
        save, web1, MigrationStatus.COMPLETED, phase=Phase.ENDED, memory_total_bytes=2**30, memory_remaining_bytes=2**25, percent=97
    )
    at = clock.utcnow()
    spans = {
        "select_destination": (StepState.DONE, 1, 2.0, None, "2.00"),
        "check_destination": (StepState.UNDONE, 1, 50.0, None, "-"),
        "check_source": (StepState.FAILED, 1, 0.5, "it is full", "0.50"),
        "migrate": (StepState.DONE, 2, 4.0, None, "4.00 (try 2)"),
        "post_at_destination": (StepState.DONE, 1, -0.001, None, "0.00"),
        "post_at_source": (StepState.DONE, 1, 90.0, "node5 is off", "-"),
    }
    for position, (name, (state, tries, taken_s, error, _)) in enumerate(spans.items()):
        times = {"started_at": at, "finished_at": at + timedelta(seconds=taken_s)}
        save(step_row(row, position, name, state=state, tries=tries, error=error, **times))
    shown = cli("migration", "show", str(row.id)).output
    lines = {words[1]: " ".join(words[3:]) for words in map(str.split, shown.splitlines()) if len(words) > 3 and words[1] in spans}
    for name, (state, _, _, error, seconds) in spans.items():
        assert f"{state.value} {seconds} {error or '-'}" in lines[name]
    assert "0 B of 1.0 GiB left" in shown


def test_nothing_is_whole_before_it_has_arrived(cli: Cli, save: Save, web1: Instance) -> None:
    row = moved(save, web1, MigrationStatus.RUNNING, percent=100, memory_total_bytes=2**33, memory_remaining_bytes=54 * 2**20)
    shown = cli("migration", "show", str(row.id)).output
    assert "99%" in shown
    assert "54.0 MiB of 8.0 GiB left" in shown


def test_abort(cli: Cli, save: Save) -> None:
    guest = instance_row("node5", name="moving")
    moving = migration_row(guest, status=MigrationStatus.RUNNING, dest_host="node6")
    save(guest, moving)
    shown = cli("migration", "abort", str(moving.id))
    assert (shown.exit_code, shown.output) == (0, f"Migration {moving.id} is being aborted.\n")


@pytest.mark.parametrize("status", [MigrationStatus.COMPLETED, MigrationStatus.POST_MIGRATING])
def test_abort_too_late_is_a_conflict(cli: Cli, save: Save, status: MigrationStatus) -> None:
    guest = instance_row("node5", name="late")
    row = migration_row(guest, status=status, dest_host="node6")
    if status is MigrationStatus.COMPLETED:
        guest.task_state = None
    save(guest, row)
    shown = cli("migration", "abort", str(row.id))
    assert shown.exit_code == ExitCode.CONFLICT
    assert f"is {status.value}: it can no longer be aborted" in shown.output


@pytest.mark.parametrize("verb", ["abort", "force-complete"])
def test_what_was_asked_for_is_shown_until_it_comes_about(cli: Cli, save: Save, verb: str) -> None:
    guest = instance_row("node5", name="moving")
    row = migration_row(guest, status=MigrationStatus.RUNNING, dest_host="node6")
    save(guest, row)
    assert f"{verb} pending" not in cli("server", "show", "moving").output
    assert cli("migration", verb, str(row.id)).exit_code == 0
    assert f"Migration    {row.id} ({verb} pending)" in cli("server", "show", "moving").output
    pending = next(line for line in cli("migration", "show", str(row.id)).output.splitlines() if line.startswith("Pending"))
    assert re.search(rf"  {verb}, asked for at \d{{4}}-\d\d-\d\d \d\d:\d\d:\d\d$", pending.rstrip()), pending
    row.phase, row.status = Phase.ENDED, MigrationStatus.CANCELLED
    save(row)
    assert f"{verb}, asked" not in cli("migration", "show", str(row.id)).output


def test_force_complete(cli: Cli, save: Save) -> None:
    guest = instance_row("node5", name="busy")
    moving = migration_row(guest, status=MigrationStatus.RUNNING, dest_host="node6")
    save(guest, moving)
    shown = cli("migration", "force-complete", moving.uuid)
    assert (shown.exit_code, shown.output) == (0, f"Migration {moving.id} is being completed.\n")


@pytest.mark.parametrize(
    ("verb", "what"), [("abort", "it can no longer be aborted"), ("force-complete", "only a copy that runs can be completed by force")]
)
def test_in_post_copy_there_is_no_way_back(cli: Cli, save: Save, verb: str, what: str) -> None:
    guest = instance_row("node5")
    row = migration_row(guest, status=MigrationStatus.RUNNING_POST_COPY, dest_host="node6")
    save(guest, row)
    shown = cli("migration", verb, str(row.id))
    assert shown.exit_code == ExitCode.CONFLICT
    assert f"is running (post-copy): {what}. Its guest runs on the destination" in shown.output


def test_resolve(cli: Cli, save: Save) -> None:
    guest = instance_row("node5")
    row = migration_row(guest, status=MigrationStatus.ERROR, phase=Phase.HELD, dest_host="node6", error="it is on neither host")
    save(host_row("node5"), host_row("node6"), guest, row)
    refused = cli("migration", "resolve", row.uuid, "--running-on", "node9")
    assert refused.exit_code == ExitCode.CONFLICT
    assert "neither its source (node5) nor its destination (node6)" in refused.output
    done = cli("migration", "resolve", row.uuid, "--running-on", "node5")
    assert (done.exit_code, done.output) == (0, f"Migration {row.id} goes on: the guest runs on node5.\n")


def test_the_switch_of_a_host(cli: Cli, web1: Instance) -> None:
    assert cli("host", "disable", "node6", "--reason", "new memory").exit_code == 0
    shown = json.loads(cli("host", "show", "node6", "-o", "json").output)
    assert (shown["enabled"], shown["disabled_reason"]) == (False, "new memory")
    assert "new memory" in cli("host", "list").output
    assert cli("host", "enable", "node6").exit_code == 0
    with reading() as session:
        assert [host.enabled for host in session.query(Host)] == [True, True]
    assert cli("host", "enable", "nope").exit_code == ExitCode.NOT_FOUND


def test_hosts_as_services(cli: Cli, web1: Instance) -> None:
    assert cli("service", "disable", "node6", "--reason", "new memory").exit_code == 0
    assert cli("service", "force-down", "node6").exit_code == 0
    by_host = {row["host"]: row for row in json.loads(cli("service", "list", "-o", "json").output)}
    assert (by_host["node6"]["status"], by_host["node6"]["disabled_reason"], by_host["node6"]["state"]) == (
        "disabled",
        "new memory",
        "down",
    )
    assert by_host["node5"]["status"] == "enabled"
    assert cli("service", "enable", "node6").exit_code == 0
    assert cli("service", "force-down", "node6", "--unset").exit_code == 0
    assert cli("service", "list", "--host", "node6").output.splitlines()[1].split()[:5] == ["node6", "nova-compute", "enabled", "up", "no"]
    missing = cli("service", "enable", "nope")
    assert (missing.exit_code, "lmigrate service list" in missing.output) == (ExitCode.NOT_FOUND, True)


@pytest.mark.parametrize(
    "command", [("server", "list"), ("migration", "watch", "1"), ("host", "disable", "node5"), ("server", "migrate", "x")]
)
def test_an_api_that_is_away_is_one_clear_sentence(command: tuple[str, ...]) -> None:
    shown = CliRunner().invoke(main, ["--url", "http://127.0.0.1:9", *command])
    assert shown.exit_code == ExitCode.UNREACHABLE
    assert "http://127.0.0.1:9" in shown.output
    assert "LMIGRATE_URL" in shown.output
    assert len(shown.output.splitlines()) == 1


@pytest.mark.parametrize("url", ["nonsense", "ftp://127.0.0.1", "http://[::"])
def test_a_url_that_is_none(url: str) -> None:
    shown = CliRunner().invoke(main, ["--url", url, "server", "list"])
    assert shown.exit_code == ExitCode.USAGE
    assert "LMIGRATE_URL" in shown.output


def test_a_plan_says_where_to_and_why_not(cli: Cli, save: Save, web1: Instance) -> None:
    shown = cli("server", "plan", "web1")
    assert shown.exit_code == ExitCode.OK, shown.output
    assert [line.split()[:2] for line in shown.output.splitlines() if line.startswith("node")] == [["node6", "yes"], ["node5", "no"]]
    assert "if not shared" in shown.output
    asked = cli("server", "plan", "web1", "--host", "node6", "-o", "json")
    assert (asked.exit_code, [one["host"] for one in json.loads(asked.output)["destinations"]]) == (ExitCode.OK, ["node6"])
    save(instance_row("node5", name="off", vm_state=VmState.STOPPED))
    stopped = cli("server", "plan", "off")
    assert (stopped.exit_code, "vm_state stopped" in stopped.output) == (ExitCode.CONFLICT, True)
    unfit = cli("server", "plan", "web1", "--host", "node5", "-o", "json")
    assert (unfit.exit_code, json.loads(unfit.output)["is_migratable"]) == (ExitCode.CONFLICT, True)
    assert cli("server", "plan", "web1", "--host", "node9").exit_code == ExitCode.NOT_FOUND
    with reading() as session:
        assert session.get(Migration, 1) is None


def test_forget(cli: Cli, save: Save, web1: Instance) -> None:
    gone = instance_row("node5", name="old", vm_state=VmState.UNKNOWN, anomaly="its domain has vanished from node5")
    save(gone)
    assert cli("server", "forget", "old").exit_code == 0
    assert cli("server", "show", "old").exit_code == ExitCode.NOT_FOUND
    refused = cli("server", "forget", web1.name)
    assert (refused.exit_code, "undefine it there first" in refused.output) == (ExitCode.CONFLICT, True)
