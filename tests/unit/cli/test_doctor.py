"""`lmigrate doctor` from the records to the terminal, and its exit code."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from click.testing import Result

from lmigrate.cli.exit_codes import ExitCode
from lmigrate.db.clock import ago, utcnow
from lmigrate.db.models import Volume
from lmigrate.ids import new_uuid
from lmigrate.states import HoldReason, MigrationStatus, Phase, PowerState, VmState, VolumeState
from tasks import broker
from tests.factories.records import host_row, instance_row, migration_row, sighting_row

Cli = Callable[..., Result]
Save = Callable[..., None]


@pytest.fixture(autouse=True)
def _broker_that_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(broker, "why_unavailable", lambda: None)


def held(**fields: Any) -> list[Any]:
    guest = instance_row("node5", name="web1")
    values: dict[str, Any] = {
        "hold_reason": HoldReason.STOPPED_ON_BOTH,
        "held_at": utcnow(),
        "error": "both hosts hold it, stopped",
        **fields,
    }
    row = migration_row(guest, status=MigrationStatus.ERROR, phase=Phase.HELD, dest_host="node6", **values)
    seen = [sighting_row(host, guest, power_state=PowerState.PAUSED, reason="user") for host in ("node5", "node6")]
    return [guest, row, *seen]


def test_nothing_is_wrong(cli: Cli, save: Save) -> None:
    save(host_row("node5"), instance_row("node5"))
    result = cli("doctor")
    assert (result.exit_code, result.output) == (ExitCode.OK, "Nothing needs an operator.\n")


def test_a_broker_that_is_away_is_told(cli: Cli, save: Save, monkeypatch: pytest.MonkeyPatch) -> None:
    save(host_row("node5"), instance_row("node5"))
    monkeypatch.setattr(broker, "why_unavailable", lambda: "the broker does not answer (ConnectionError)")
    result = cli("doctor")
    assert result.exit_code == ExitCode.NEEDS_OPERATOR
    assert "! broker: the broker does not answer (ConnectionError)" in result.output
    assert "1 needs an operator." in result.output
    as_json = cli("doctor", "-o", "json")
    assert (as_json.exit_code, json.loads(as_json.stdout)["needs_operator"]) == (ExitCode.NEEDS_OPERATOR, 0)
    assert "! broker: " in as_json.stderr
    monkeypatch.setattr(broker, "why_unavailable", lambda: None)
    assert cli("doctor").output == "Nothing needs an operator.\n"


def test_a_held_migration_with_its_commands(cli: Cli, save: Save) -> None:
    save(host_row("node5"), host_row("node6"), *held())
    result = cli("doctor")
    assert result.exit_code == ExitCode.NEEDS_OPERATOR
    assert "! migration 1 of web1: stopped-on-both" in result.output
    assert "docs/runbooks/stopped-on-both.md" in result.output
    assert "known of node6: paused (user)" in result.output
    assert "node6# virsh -c qemu:///system destroy" in result.output
    assert "$ lmigrate migration resolve 1 --running-on node5 " in result.output
    assert "1 needs an operator." in result.output


def test_for_programs(cli: Cli, save: Save) -> None:
    save(host_row("node5"), host_row("node6"), *held())
    result = cli("doctor", "-o", "json")
    assert result.exit_code == ExitCode.NEEDS_OPERATOR
    (finding,) = json.loads(result.output)["findings"]
    assert (finding["kind"], finding["reason"], finding["migration_id"]) == ("held-migration", "stopped-on-both", 1)
    assert {known["host"]: known["said"] for known in finding["known"]} == {"node5": "paused (user)", "node6": "paused (user)"}


def test_guests_hosts_and_volumes(cli: Cli, save: Save) -> None:
    guest = instance_row("node5", name="web1", vm_state=VmState.UNKNOWN, anomaly="running on node5 and node6")
    volume = Volume(uuid=new_uuid(), name="web1-root", backend="san1", source_name="iqn.x/1", location={}, size_bytes=0)
    volume.state, volume.error = VolumeState.ERROR, "no such target"
    save(host_row("node5"), host_row("node6"), host_row("node7", last_seen_at=ago(900)), guest, volume)
    save(*[sighting_row(host, guest) for host in ("node5", "node6")])
    result = cli("doctor")
    assert result.exit_code == ExitCode.NEEDS_OPERATOR
    assert "! guest web1: runs-on-several" in result.output
    assert "! host node7: down" in result.output
    assert "volume web1-root of san1 is not usable: no such target" in result.output
    assert "3 need an operator." in result.output


def test_hosts_are_asked_to_look(cli: Cli, save: Save) -> None:
    save(host_row("node5"), host_row("node6", last_seen_at=ago(900)))
    result = cli("doctor", "--sweep")
    assert (result.exit_code, result.output) == (ExitCode.OK, "node5 will look for leaks; `lmigrate doctor` tells what was found.\n")


def test_a_short_wait_needs_nobody(cli: Cli, save: Save) -> None:
    guest = instance_row("node5", name="web1")
    waiting = migration_row(guest, status=MigrationStatus.RUNNING, phase=Phase.ROLLING_BACK, dest_host="node6", silent_since=ago(5))
    save(host_row("node5"), host_row("node6"), guest, waiting)
    result = cli("doctor")
    assert result.exit_code == ExitCode.OK
    assert "- migration 1 of web1: silent-host" in result.output
    assert "Nothing needs an operator; 1 more to know of." in result.output


def test_a_host_that_was_taken_out_needs_nobody(cli: Cli, save: Save) -> None:
    save(host_row("node5", forced_down=True))
    assert cli("doctor").exit_code == ExitCode.OK
