"""The command line on a real terminal, in a pipe, and in a pipe that nobody reads to the end."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

import pytest
import yaml
from click.testing import CliRunner

from lmigrate.cli.client import Client
from lmigrate.cli.exit_codes import INTERRUPTED
from lmigrate.cli.main import main
from lmigrate.db.models import Instance
from lmigrate.states import MigrationStatus, Phase
from tests.factories.records import host_row, instance_row, migration_row
from tests.unit.cli.conftest import Cli

pytestmark = pytest.mark.one_database

Save = Callable[..., None]
ESCAPE = "\x1b["
PROGRAM = [sys.executable, "-m", "lmigrate.cli.main"]


@pytest.fixture
def web1(save: Save) -> Instance:
    row = instance_row("node5", name="web1")
    save(host_row("node5"), host_row("node6"), row)
    return row


def on_terminal(url: str, *arguments: str) -> tuple[int, str]:
    """The exit code, and what the terminal got."""
    ours, theirs = pty.openpty()
    with subprocess.Popen([*PROGRAM, "--url", url, *arguments], stdin=theirs, stdout=theirs, stderr=theirs, close_fds=True) as program:
        os.close(theirs)
        got = b""
        try:
            while chunk := os.read(ours, 4096):
                got += chunk
        except OSError:  # the terminal's other side is closed: how Linux says that it was the end
            pass
        os.close(ours)
    return program.returncode, got.decode()


def test_a_terminal_gets_colours_and_a_bar_and_a_pipe_gets_neither(api_url: str, cli: Cli, save: Save, web1: Instance) -> None:
    row = migration_row(web1, status=MigrationStatus.COMPLETED, phase=Phase.ENDED, dest_host="node6")
    save(row)
    code, shown = on_terminal(api_url, "migration", "watch", str(row.id))
    assert code == 0, shown
    assert ESCAPE in shown
    assert "web1 runs on node6" in shown
    piped = cli("migration", "watch", str(row.id))
    assert piped.exit_code == 0
    assert ESCAPE not in piped.output


def test_what_a_guest_is_called_cannot_command_the_terminal(api_url: str, save: Save, web1: Instance) -> None:
    save(instance_row("node5", name="evil\x1b]0;owned\x07"))
    _, shown = on_terminal(api_url, "server", "list", "--name", "evil")
    assert "\x1b]0;" not in shown
    assert "evil\N{REPLACEMENT CHARACTER}]0;owned" in shown


def test_a_reader_that_goes_away_is_no_error_to_talk_about(api_url: str, save: Save) -> None:
    save(*[instance_row("node5", name=f"web{number}") for number in range(400)])
    for output in ("table", "json", "yaml"):
        with subprocess.Popen(
            [*PROGRAM, "--url", api_url, "server", "list", "-o", output], stdout=subprocess.PIPE, stderr=subprocess.PIPE
        ) as program:
            assert program.stdout is not None
            assert program.stderr is not None
            program.stdout.read(10)
            program.stdout.close()
            assert program.stderr.read() == b"", output


def test_yaml_says_what_json_says(cli: Cli, web1: Instance) -> None:
    for command in (["server", "list"], ["server", "show", "web1"], ["host", "list"], ["host", "show", "node5"]):
        as_json, as_yaml = (cli(*command, "-o", output) for output in ("json", "yaml"))
        assert (as_json.exit_code, as_yaml.exit_code) == (0, 0)
        assert yaml.safe_load(as_yaml.output) == json.loads(as_json.output)
        assert not as_yaml.output.startswith(("{", "["))


def run(url: str, *arguments: str, stdout: int | BinaryIO = subprocess.PIPE, **variables: str) -> subprocess.CompletedProcess[bytes]:
    """The command as a shell starts it."""
    environment = {**os.environ, **variables}
    return subprocess.run([*PROGRAM, "--url", url, *arguments], stdout=stdout, stderr=subprocess.PIPE, env=environment, check=False)


@pytest.mark.parametrize("command", [["--help"], ["host", "list"], ["host", "list", "-o", "json"], ["server", "migrate", "--help"]])
def test_a_full_disk_is_one_sentence(api_url: str, web1: Instance, command: list[str]) -> None:
    with Path("/dev/full").open("wb") as full:
        done = run(api_url, *command, stdout=full)
    assert (done.returncode, done.stderr.decode().splitlines()) == (
        1,
        ["Error: Standard output cannot be written: No space left on device. What was asked for may have been done all the same."],
    )


def test_where_nothing_can_be_printed_nothing_is_done(api_url: str, web1: Instance) -> None:
    program = f"exec {' '.join(PROGRAM)} --url {api_url} server migrate web1 >&-"
    done = subprocess.run(["sh", "-c", program], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr.startswith("Error: Standard output is closed")) == (1, True)
    assert json.loads(run(api_url, "migration", "list", "-o", "json").stdout) == []


@pytest.mark.parametrize("output", ["table", "json", "yaml"])
def test_characters_that_the_terminal_has_not(api_url: str, save: Save, output: str) -> None:
    save(instance_row("node5", name="größe-№1"))
    done = run(api_url, "server", "list", "-o", output, PYTHONIOENCODING="ascii", LC_ALL="C")
    assert (done.returncode, done.stderr) == (0, b"")
    assert b"gr" in done.stdout
    if output != "table":
        assert yaml.safe_load(done.stdout)[0]["name"] == "größe-№1"


def test_ctrl_c_is_130(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Client, "get", interrupted)
    assert CliRunner().invoke(main, ["host", "list"]).exit_code == INTERRUPTED
