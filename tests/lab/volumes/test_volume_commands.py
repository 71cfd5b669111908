"""A guest with a volume by the lab's own commands, as docs/lab.md has them."""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from lmigrate.cli.exit_codes import ExitCode
from lmigrate.lab.guests.guest import Guest
from lmigrate.lab.topology import Lab
from tests.lab.volumes.carrier import libvirt_secrets, secrets_out_of_place
from tests.lab.wire import Wire

pytestmark = [pytest.mark.lab, pytest.mark.one_database]

_numbers = itertools.count(1)
Command = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def lmigrate(lab: Lab) -> Command:
    """The command in a shell that `lab env` has pointed at the lab."""
    own = {"LMIGRATE_LAB_ID": lab.options.lab_id, "LMIGRATE_URL": lab.url}

    def run(*words: str) -> subprocess.CompletedProcess[str]:
        argv = [sys.executable, "-m", "lmigrate.cli.main", *words]
        return subprocess.run(argv, env={**os.environ, **own}, capture_output=True, text=True, check=False, timeout=120)

    return run


@pytest.fixture
def carrier(lab: Lab, lmigrate: Command) -> Iterator[str]:
    """The name of a guest that ends with the test; the records keep it, so that each test has another."""
    name = f"bearer{next(_numbers)}"
    yield name
    if any(guest.name == name for guest in Guest.all(lab)):
        assert lmigrate("lab", "guest", "stop", name).returncode == 0


def answer(done: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout))


def access(wire: Wire, volume: str) -> list[tuple[str, str]]:
    return [(one["host"], one["state"]) for one in wire.get(f"/v1/volumes/{volume}")["attachments"]]


def test_a_guest_with_a_volume_is_moved_by_three_commands(lab: Lab, wire: Wire, lmigrate: Command, carrier: str) -> None:
    made = answer(lmigrate("lab", "volume", "create", "bearer-data", "--size-mib", "4", "-o", "json"))
    assert Path(made["path"]).stat().st_size == 4 << 20
    started = lmigrate("lab", "guest", "start", carrier, "--volume", "bearer-data", "--disk", "raw:4", "--memory-mib", "32")
    assert started.returncode == 0, started.stderr
    wire.wait_found(Guest.find(lab, carrier).uuid, "node5")
    assert access(wire, made["uuid"]) == [("node5", "granted")]
    moved = lmigrate("server", "migrate", carrier, "--host", "node6", "--watch")
    assert moved.returncode == 0, moved.stderr
    assert access(wire, made["uuid"]) == [("node6", "granted")]
    assert "unbroken" in lmigrate("lab", "guest", "report", carrier).stdout
    refused = [
        (lmigrate("lab", "volume", "create", "bearer-data"), ExitCode.CONFLICT, "already"),
        (lmigrate("lab", "guest", "start", "second", "--volume", "bearer-data"), ExitCode.CONFLICT, f"server forget {carrier}"),
        (lmigrate("lab", "guest", "start", "second", "--volume", "nothing"), ExitCode.NOT_FOUND, "lab volume create nothing"),
    ]
    for done, code, word in refused:
        assert (done.returncode, word in done.stderr) == (code, True), done.stderr


def test_a_guest_that_does_not_start_leaves_its_volume_free(lab: Lab, wire: Wire, lmigrate: Command, carrier: str) -> None:
    made = answer(lmigrate("lab", "volume", "create", "bearer-free", "--size-mib", "4", "-o", "json"))
    before = libvirt_secrets(lab.host("node5"))
    refused = lmigrate("lab", "guest", "start", carrier, "--volume", "bearer-free", "--machine", "no-such-machine")
    assert (refused.returncode, "XML error" in refused.stderr) == (1, True), refused.stderr
    assert access(wire, made["uuid"]) == []
    assert libvirt_secrets(lab.host("node5")) == before
    assert secrets_out_of_place(lab) == {}
    started = lmigrate("lab", "guest", "start", carrier, "--volume", "bearer-free", "--memory-mib", "32")
    assert started.returncode == 0, started.stderr
