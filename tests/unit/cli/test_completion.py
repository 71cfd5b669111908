"""Completion as the shells ask for it, names over HTTP included."""

from __future__ import annotations

import os
import pty
import select
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
PATIENCE_S = 60
#: a busy machine may take longer than a typing person would wait
PATIENT = {"LMIGRATE_COMPLETION_TIMEOUT_S": "30"}


@pytest.fixture
def guests(save: Save) -> None:
    row = instance_row("node5", name="web1")
    save(host_row("node5"), host_row("node6"), row, instance_row("node5", name="web2"), instance_row("node6", name="db1"))
    save(migration_row(row))


def environment_of(url: str, **variables: str) -> dict[str, str]:
    """What the shells are started with."""
    return {"PATH": f"{PROGRAMS}:{os.environ['PATH']}", "LC_ALL": "C.UTF-8", "LMIGRATE_URL": url, **PATIENT, **variables}


def completed(url: str, *words: str, **variables: str) -> list[str]:
    """What bash offers for the last of ``words``, from a real bash that has read our script."""
    quoted = " ".join(f"'{word}'" for word in words)
    script = f"""
        eval "$(lmigrate completion bash)"
        COMP_WORDS=({quoted}) COMP_CWORD={len(words) - 1}
        _lmigrate_completion lmigrate
        printf '%s\\n' "${{COMPREPLY[@]}}"
    """
    environment = environment_of(url, HOME="/nonexistent", **variables)
    done = subprocess.run(["bash", "--norc", "-c", script], env=environment, capture_output=True, text=True, check=True, timeout=PATIENCE_S)
    assert done.stderr == ""
    return sorted(done.stdout.split())


def test_bash_offers_commands_options_and_names(api_url: str, guests: None) -> None:
    assert completed(api_url, "lmigrate", "mig") == ["migration"]
    assert completed(api_url, "lmigrate", "server", "migrate", "we") == ["web1", "web2"]
    assert completed(api_url, "lmigrate", "server", "migrate", "web1", "--host", "") == ["node5", "node6"]


ZSHRC = """
    autoload -Uz compinit && compinit -u -D
    eval "$(lmigrate completion zsh)"
    leave() { print -r -- "$BUFFER" > line; BUFFER=exit; zle accept-line }
    zle -N leave; bindkey '^G' leave
    PS1='type> '
"""


def in_zsh(url: str, directory: Path, typed: str) -> str:
    """The line of a real, interactive zsh after ``typed`` and the tabulator."""
    (directory / ".zshrc").write_text(ZSHRC)
    ours, theirs = pty.openpty()
    environment = environment_of(url, ZDOTDIR=str(directory), HOME=str(directory), TERM="dumb")
    argv = ["zsh", "-o", "no_global_rcs", "-i"]
    with subprocess.Popen(argv, stdin=theirs, stdout=theirs, stderr=theirs, env=environment, cwd=directory, start_new_session=True):
        os.close(theirs)
        read(ours, until=b"type> ")
        os.write(ours, f"{typed}\t\a".encode())
        read(ours, until=None)
        os.close(ours)
    return (directory / "line").read_text().rstrip("\n")


def read(terminal: int, until: bytes | None) -> None:
    """Read what is shown there up to ``until``, or to its end."""
    got = b""
    while until is None or until not in got:
        assert select.select([terminal], [], [], PATIENCE_S)[0], got
        try:
            got += os.read(terminal, 4096)
        except OSError:  # its other side is closed: how Linux says that it was the end
            return


def test_zsh_completes_commands_options_and_names(api_url: str, guests: None, tmp_path: Path) -> None:
    assert in_zsh(api_url, tmp_path, "lmigrate mig") == "lmigrate migration "
    assert in_zsh(api_url, tmp_path, "lmigrate server migrate --wat") == "lmigrate server migrate --watch "
    assert in_zsh(api_url, tmp_path, "lmigrate server show db") == "lmigrate server show db1 "
    assert in_zsh(api_url, tmp_path, "lmigrate server migrate web1 --host n") == "lmigrate server migrate web1 --host node"


def in_fish(url: str, directory: Path, typed: str) -> list[str]:
    """What a real fish offers for ``typed``."""
    script = "lmigrate completion fish | source; complete --do-complete $argv[1]"
    argv = ["fish", "--no-config", "-c", script, typed]
    environment = environment_of(url, HOME=str(directory))
    done = subprocess.run(argv, env=environment, capture_output=True, text=True, check=True, timeout=PATIENCE_S)
    assert done.stderr == ""
    return sorted(line.partition("\t")[0] for line in done.stdout.splitlines())


def test_fish_completes_commands_options_and_names(api_url: str, guests: None, tmp_path: Path) -> None:
    assert in_fish(api_url, tmp_path, "lmigrate mig") == ["migration"]
    assert in_fish(api_url, tmp_path, "lmigrate server migrate --wat") == ["--watch"]
    assert in_fish(api_url, tmp_path, "lmigrate server migrate we") == ["web1", "web2"]
    assert in_fish(api_url, tmp_path, "lmigrate server migrate web1 --host ") == ["node5", "node6"]


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
