"""A guest with a volume by the lab's own commands, as docs/lab.md has them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from lmigrate.cli.exit_codes import ExitCode
from lmigrate.lab.guests.guest import Guest
from lmigrate.lab.lab_cmd import lab as lab_group
from lmigrate.lab.topology import Lab
from tests.lab.volumes.carrier import libvirt_secrets, secrets_out_of_place
from tests.lab.wire import Wire

pytestmark = [pytest.mark.lab, pytest.mark.one_database]

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
def carrier(lab: Lab) -> Iterator[str]:
    """The name of a guest that ends with the test."""
    yield "bearer"
    for guest in Guest.all(lab):
        if guest.name == "bearer":
            guest.stop()


def access(wire: Wire, volume: str) -> list[tuple[str, str]]:
    return [(one["host"], one["state"]) for one in wire.get(f"/v1/volumes/{volume}")["attachments"]]


def test_a_guest_with_a_volume_is_moved_by_three_commands(lab: Lab, wire: Wire, lmigrate: Command, carrier: str) -> None:
    created = lmigrate("lab", "volume", "create", "bearer-data", "--size-mib", "4", "-o", "json")
    assert created.returncode == 0, created.stderr
    made, before = json.loads(created.stdout), libvirt_secrets(lab.host("node5"))
    assert Path(made["path"]).stat().st_size == 4 << 20
    # a guest that does not start leaves it free
    start = ("lab", "guest", "start", carrier, "--volume", "bearer-data", "--disk", "raw:4", "--memory-mib", "32")
    refused = lmigrate(*start, "--machine", "no-such-machine")
    assert (refused.returncode, "XML error" in refused.stderr) == (1, True), refused.stderr
    assert access(wire, made["uuid"]) == []
    assert libvirt_secrets(lab.host("node5")) == before
    started = lmigrate(*start)
    assert started.returncode == 0, started.stderr
    wire.wait_found(Guest.find(lab, carrier).uuid, "node5")
    assert access(wire, made["uuid"]) == [("node5", "granted")]
    moved = lmigrate("server", "migrate", carrier, "--host", "node6", "--watch")
    assert moved.returncode == 0, moved.stderr
    assert access(wire, made["uuid"]) == [("node6", "granted")]
    assert secrets_out_of_place(lab) == {}
    refused_again = [
        (("volume", "create", "bearer-data"), ExitCode.CONFLICT, "already"),
        (("guest", "start", "second", "--volume", "bearer-data"), ExitCode.CONFLICT, f"server forget {carrier}"),
        (("guest", "start", "second", "--volume", "nothing"), ExitCode.NOT_FOUND, "lab volume create nothing"),
    ]
    for words, code, said in refused_again:  # in this process: starting one takes longer than they do
        done = CliRunner().invoke(lab_group, list(words), env={"LMIGRATE_LAB_ID": lab.options.lab_id})
        assert (done.exit_code, said in done.stderr) == (code, True), done.stderr
