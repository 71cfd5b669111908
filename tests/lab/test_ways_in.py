"""The command line, and Flower."""

from __future__ import annotations

import re
import subprocess
import sys

import httpx
import pytest

from lmigrate.clock import monotonic_s
from lmigrate.lab.guests.guest import Guest
from lmigrate.lab.topology import Lab
from tests.lab.moves import assert_moved, other
from tests.lab.wire import Wire, eventually
from tests.lab.world import World, assert_unchanged

pytestmark = pytest.mark.lab

#: ids, attempts, rounds, and which side a look is for
IDS_ONLY = re.compile(r"[\[(](?:(?:\d+|'source'|'destination')(?:, ?)?)*[\])]")


def lmigrate(lab: Lab, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "lmigrate.cli.main", "--url", lab.url, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


def test_the_command_line_follows_a_migration_to_its_end(lab: Lab, wire: Wire, guest: Guest) -> None:
    home, began = wire.server(guest.uuid)["host"], monotonic_s()
    done = lmigrate(lab, "server", "migrate", guest.name, "--host", other(home), "--watch")
    assert done.returncode == 0, done
    assert f"{guest.name} runs on {other(home)}" in done.stdout
    newest = wire.get("/v1/migrations", server=guest.uuid)["migrations"][0]
    assert_moved(lab, wire, guest, wire.end(newest["id"]), since=began)


def test_the_command_line_says_that_a_migration_failed_and_why(lab: Lab, wire: Wire, guest: Guest) -> None:
    home, before = wire.server(guest.uuid)["host"], World.of(lab)
    (lab.faults_dir / "step.pre_live_migration.after_do").write_text("raise-request once")
    done = lmigrate(lab, "server", "migrate", guest.name, "--host", other(home), "--watch")
    assert done.returncode == 6, done
    assert "Injected by a fail point" in done.stderr
    assert f"The guest is on {home}" in done.stderr
    assert_unchanged(lab, before)


def test_flower_asks_for_a_password_and_shows_ids_only(lab: Lab, wire: Wire, guest: Guest) -> None:
    wire.move(guest.uuid)
    assert httpx.get(f"{lab.flower_url}/api/tasks").status_code == 401

    def tasks() -> list[dict[str, str]]:
        answer = httpx.get(f"{lab.flower_url}/api/tasks", auth=("lab", lab.state.flower_password), timeout=20)
        assert answer.status_code == 200, answer.text
        return list(answer.json().values())

    eventually("Flower has heard of the move", lambda: any(task["name"] == "lmigrate.complete" for task in tasks()))
    shown = [(task["name"], task["args"], task["kwargs"]) for task in tasks() if task["name"]]
    assert [task for task in shown if not IDS_ONLY.fullmatch(task[1] or "()") or task[2] not in {"{}", None}] == []
