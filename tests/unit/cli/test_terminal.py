"""The command line on a real terminal, in a pipe, and in a pipe that nobody reads to the end."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from collections.abc import Callable

import pytest
import yaml

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
