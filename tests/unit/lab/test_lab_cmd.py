from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from click.testing import CliRunner

from lmigrate.cli.exit_codes import ExitCode
from lmigrate.lab import lab_cmd
from lmigrate.lab.errors import GuestExists, LabError, OptionsDiffer, StartFailed
from lmigrate.lab.guests.guest import NoSuchGuest
from lmigrate.lab.lab_cmd import lab
from lmigrate.lab.packages import require_programs


@pytest.fixture
def as_root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)


@pytest.fixture(autouse=True)
def lab_root(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    monkeypatch.setenv("LMIGRATE_LAB_ROOT", str(tmp_path_factory.getbasetemp()))


@pytest.mark.parametrize("command", ["up", "down", "status", "list", "env"])
def test_who_is_not_root_is_told_so(monkeypatch: pytest.MonkeyPatch, command: str) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    result = CliRunner().invoke(lab, [command])
    assert result.exit_code == 1
    assert "needs root" in result.output


@pytest.mark.usefixtures("as_root")
@pytest.mark.parametrize("command", [["status"], ["env"], ["exec", "node5", "--", "true"]])
def test_a_lab_that_is_not_there_is_an_error_with_a_remedy(command: list[str]) -> None:
    result = CliRunner().invoke(lab, command)
    assert result.exit_code == ExitCode.NOT_FOUND
    assert "lab up --id lab" in result.output


@pytest.mark.usefixtures("as_root")
@pytest.mark.parametrize("command", [["status"], ["exec", "node5", "--", "true"], ["guest", "list"]])
def test_a_shell_that_was_pointed_at_a_lab_means_that_one(command: list[str]) -> None:
    pointed = {"LMIGRATE_LAB_ID": "mine"}
    assert "lab up --id mine" in CliRunner().invoke(lab, command, env=pointed).output
    verb = command[: 2 if command[0] == "guest" else 1]
    assert "lab up --id other" in CliRunner().invoke(lab, [*verb, "--id", "other", *command[len(verb) :]], env=pointed).output


@pytest.mark.usefixtures("as_root")
def test_the_labs_are_listed_for_people_and_for_programs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("LMIGRATE_LAB_ROOT", str(tmp_path))
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    assert CliRunner().invoke(lab, ["list"]).output == "one\ntwo\n"
    assert json.loads(CliRunner().invoke(lab, ["list", "-o", "json"]).output) == ["one", "two"]
    assert CliRunner().invoke(lab, ["list", "-o", "yaml"]).output == "- one\n- two\n"


@pytest.mark.usefixtures("as_root")
def test_down_of_nothing_is_no_error() -> None:
    result = CliRunner().invoke(lab, ["down", "--id", "nothing"])
    assert result.exit_code == 0
    assert "there is none" in result.output


@pytest.mark.usefixtures("as_root")
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--hosts", "a", "--count", "2"], "exclude each other"),
        (["--memory-mib", "node5"], "NAME=VALUE"),
        (["--memory-mib", "node5=much"], "HOST=N"),
        (["--hosts", "node5,node5"], "same name"),
        (["--id", "Bad Id"], "cannot be a lab's id"),
        (["--hosts", "Node5"], "cannot be the name of a host"),
        (["--memory-mib", "node9=512"], "which is no host of the lab"),
    ],
)
def test_wrong_options_are_refused_before_anything_is_touched(arguments: list[str], message: str) -> None:
    result = CliRunner().invoke(lab, ["up", *arguments])
    assert (result.exit_code, message in result.output) == (ExitCode.USAGE, True), result.output


@pytest.mark.usefixtures("as_root")
@pytest.mark.parametrize(
    "command", [["status"], ["env"], ["down"], ["exec", "node5", "true"], ["demo"], ["guest", "list"], ["guest", "stop", "a"]]
)
def test_what_can_be_no_labs_id_is_a_wrong_value_of_every_command(command: list[str]) -> None:
    verb = command[: 2 if command[0] == "guest" else 1]
    result = CliRunner().invoke(lab, [*verb, "--id", "../lab", *command[len(verb) :]])
    assert (result.exit_code, "'../lab' cannot be a lab's id" in result.output) == (ExitCode.USAGE, True), result.output


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (NoSuchGuest(lab_id="lab", guest="a", guests="b"), ExitCode.NOT_FOUND),
        (GuestExists(lab_id="lab", guest="a"), ExitCode.CONFLICT),
        (OptionsDiffer(lab_id="lab", difference="tls: True not False"), ExitCode.CONFLICT),
        (StartFailed(what="Redis", deadline_s=30, log=""), ExitCode.FAILED),
    ],
)
@pytest.mark.usefixtures("as_root")
def test_what_goes_wrong_ends_as_the_page_of_the_command_line_says(
    monkeypatch: pytest.MonkeyPatch, error: LabError, code: ExitCode
) -> None:
    def fail(_lab_id: str) -> bool:
        raise error

    monkeypatch.setattr(lab_cmd, "remove", fail)
    result = CliRunner().invoke(lab, ["down"])
    assert (result.exit_code, result.output) == (code, f"Error: {error}\n")


@pytest.mark.usefixtures("as_root")
@pytest.mark.parametrize("name", ["-x", "a/b", "a b", "x" * 64, ""])
def test_what_cannot_be_the_name_of_a_volume(name: str) -> None:
    result = CliRunner().invoke(lab, ["volume", "create", "--", name])
    assert result.exit_code == ExitCode.USAGE
    assert "cannot be the name of a volume" in result.output


def test_a_missing_program_names_its_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lmigrate.lab.packages.SEARCH_PATH", "/nowhere")
    with pytest.raises(Exception, match=r"iproute2.*make deps"):
        require_programs("sqlite")
