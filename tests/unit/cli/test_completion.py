"""Completion as the shells ask for it, names over HTTP included."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner

from lmigrate.cli.main import main
from tests.factories.records import host_row, instance_row, migration_row
from tests.unit.cli.conftest import Cli

pytestmark = pytest.mark.one_database

Save = Callable[..., None]
PROGRAMS = Path(sys.executable).parent
#: a busy machine may take longer than a typing person would wait
PATIENT = {"LMIGRATE_COMPLETION_TIMEOUT_S": "30"}


@pytest.fixture
def guests(save: Save) -> None:
    row = instance_row("node5", name="web1")
    save(host_row("node5"), host_row("node6"), row, instance_row("node5", name="web2"), instance_row("node6", name="db1"))
    save(migration_row(row))


def completed(url: str, *words: str, **variables: str) -> list[str]:
    """What bash offers for the last of ``words``, from a real bash that has read our script."""
    quoted = " ".join(f"'{word}'" for word in words)
    script = f"""
        eval "$(lmigrate completion bash)"
        COMP_WORDS=({quoted}) COMP_CWORD={len(words) - 1}
        _lmigrate_completion lmigrate
        printf '%s\\n' "${{COMPREPLY[@]}}"
    """
    environment = {"PATH": f"{PROGRAMS}:{os.environ['PATH']}", "LMIGRATE_URL": url, "HOME": "/nonexistent", **PATIENT, **variables}
    done = subprocess.run(["bash", "--norc", "-c", script], env=environment, capture_output=True, text=True, check=True, timeout=60)
    assert done.stderr == ""
    return sorted(done.stdout.split())


def test_bash_offers_commands_options_and_names(api_url: str, guests: None) -> None:
    assert completed(api_url, "lmigrate", "mig") == ["migration"]
    assert completed(api_url, "lmigrate", "server", "migrate", "we") == ["web1", "web2"]
    assert completed(api_url, "lmigrate", "server", "migrate", "web1", "--host", "") == ["node5", "node6"]


@pytest.mark.parametrize(
    ("shell", "words", "offered"),
    [
        ("zsh", "lmigrate migration abort ", "plain\n1\n_\n"),
        ("zsh", "lmigrate host show node6", "plain\nnode6\n_\n"),
        ("fish", "lmigrate server show db", "plain,db1\n"),
    ],
)
def test_what_zsh_and_fish_are_told(cli: Cli, api_url: str, guests: None, shell: str, words: str, offered: str) -> None:
    last = words.rsplit(" ", 1)[-1]
    asked = {"COMP_WORDS": words, "COMP_CWORD": last if shell == "fish" else str(len(words.split(" ")) - 1)}
    environment = {**PATIENT, "LMIGRATE_URL": api_url, "_LMIGRATE_COMPLETE": f"{shell}_complete", **asked}
    shown = CliRunner().invoke(main, [], env=environment, prog_name="lmigrate")
    assert shown.output == offered


HOSTILE = [
    "web;reboot",
    "web$(reboot)",
    "web`reboot`",
    "web&&reboot",
    "web>file",
    "web 3",
    "web*",
    "web'",
    "web\nplain\nweb4",
    "web\n",
    "wéb",
    "~web",
    "-web",
]
PLAIN = ["web1", "web-2.example:a@b%c+d_e"]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_no_name_becomes_a_command(api_url: str, save: Save, shell: str) -> None:
    save(host_row("node5"), *(instance_row("node5", name=name) for name in [*HOSTILE, *PLAIN]))
    asked = {"COMP_WORDS": "lmigrate server show ", "COMP_CWORD": "" if shell == "fish" else "3", "_LMIGRATE_COMPLETE": f"{shell}_complete"}
    shown = CliRunner().invoke(main, [], env={**PATIENT, "LMIGRATE_URL": api_url, **asked}, prog_name="lmigrate")
    one = {"bash": "plain,{}\n", "zsh": "plain\n{}\n_\n", "fish": "plain,{}\n"}[shell]
    assert sorted(one.format(name) for name in PLAIN) == sorted(_items(shown.output, one.count("\n")))


def _items(output: str, lines: int) -> list[str]:
    """What was offered, one by one: each is so many lines."""
    all_lines = output.splitlines(keepends=True)
    return ["".join(all_lines[start : start + lines]) for start in range(0, len(all_lines), lines)]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_script_calls_back_our_program(shell: str) -> None:
    shown = CliRunner().invoke(main, ["completion", shell])
    assert shown.exit_code == 0
    assert f"_LMIGRATE_COMPLETE={shell}_complete" in shown.output


def test_an_api_that_is_away_or_says_nothing_offers_nothing_and_says_nothing() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:  # accepts, and never answers
        for port in (9, silent.getsockname()[1]):
            assert completed(f"http://127.0.0.1:{port}", "lmigrate", "server", "show", "", LMIGRATE_COMPLETION_TIMEOUT_S="0.2") == []
