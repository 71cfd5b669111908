"""The first process of a node, here without namespaces: requests, reaping, never a second copy."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from lmigrate.lab import processes
from lmigrate.lab.control import Control
from lmigrate.lab.errors import LabError
from lmigrate.lab.wait import wait_for

ENV = {"PATH": "/usr/bin:/bin"}


@pytest.fixture
def control(tmp_path: Path) -> Iterator[Control]:
    config = tmp_path / "init.json"
    socket = tmp_path / "control.sock"
    config.write_text(json.dumps({"hostname": None, "control": str(socket), "keep": str(tmp_path), "mounts": []}))
    process = subprocess.Popen([sys.executable, "-m", processes.INIT_MODULE, str(config)])
    client = Control(socket)
    wait_for("init", lambda: _answers(client), deadline_s=20)
    yield client
    for name in client.daemons():
        client.signal(name, signal.SIGKILL)
    process.send_signal(signal.SIGTERM)
    assert process.wait(10) == 0


def _answers(client: Control) -> bool:
    try:
        client.daemons()
    except OSError:
        return False
    return True


def test_a_daemon_is_started_once(control: Control, tmp_path: Path) -> None:
    assert control.start("sleeper", ["sleep", "60"], ENV, tmp_path / "log")
    first = control.daemons()["sleeper"].inner_pid
    assert not control.start("sleeper", ["sleep", "60"], ENV, tmp_path / "log")
    assert control.daemons()["sleeper"].inner_pid == first


def test_a_daemon_that_has_ended_is_reaped_at_once_and_can_be_started_again(control: Control, tmp_path: Path) -> None:
    control.start("sleeper", ["sleep", "60"], ENV, tmp_path / "log")
    pid = control.daemons()["sleeper"].inner_pid
    assert control.signal("sleeper", signal.SIGKILL)
    wait_for("the end", lambda: not Path(f"/proc/{pid}").exists(), deadline_s=5)
    assert control.daemons()["sleeper"].ending == "killed by SIGKILL"
    assert not control.signal("sleeper", signal.SIGKILL)
    assert control.start("sleeper", ["sleep", "60"], ENV, tmp_path / "log")


def test_a_daemon_that_crashes_is_started_again_if_that_is_wanted(control: Control, tmp_path: Path) -> None:
    control.start("sleeper", ["sleep", "60"], ENV, tmp_path / "log", restart=True)
    first = control.daemons()["sleeper"].inner_pid
    os.kill(first, signal.SIGSEGV)  # not through init: nobody has asked for its end
    wait_for("it is back", lambda: control.daemons()["sleeper"].inner_pid != first, deadline_s=5)
    again = control.daemons()["sleeper"]
    assert (again.alive, again.restarts) == (True, 1)


def test_a_daemon_whose_end_was_asked_for_stays_dead(control: Control, tmp_path: Path) -> None:
    control.start("sleeper", ["sleep", "60"], ENV, tmp_path / "log", restart=True)
    control.signal("sleeper", signal.SIGTERM)
    wait_for("the end", lambda: not control.daemons()["sleeper"].alive, deadline_s=5)
    assert control.daemons()["sleeper"].restarts == 0


def test_a_daemon_that_crashes_again_and_again_is_left_dead(control: Control, tmp_path: Path) -> None:
    control.start("crasher", ["sh", "-c", "echo began; exit 3"], ENV, tmp_path / "log", restart=True)
    wait_for("the end", lambda: not control.daemons()["crasher"].alive, deadline_s=5)
    assert control.daemons()["crasher"].ending == "exit 3"
    assert (tmp_path / "log").read_text().split() == ["began"] * 6


def test_output_and_exit_code_are_kept(control: Control, tmp_path: Path) -> None:
    control.start("talker", ["sh", "-c", "echo out; echo err >&2; echo $WORD; exit 3"], ENV | {"WORD": "given"}, tmp_path / "log")
    wait_for("the end", lambda: not control.daemons()["talker"].alive, deadline_s=5)
    assert control.daemons()["talker"].ending == "exit 3"
    assert (tmp_path / "log").read_text().split() == ["out", "err", "given"]


def test_a_program_that_does_not_exist_is_an_error(control: Control, tmp_path: Path) -> None:
    with pytest.raises(LabError, match="no-such-program"):
        control.start("ghost", ["no-such-program"], ENV, tmp_path / "log")
    assert control.daemons() == {}


def test_the_first_process_of_a_node_is_found_by_its_arguments(control: Control, tmp_path: Path) -> None:
    found = processes.of_labs(tmp_path)
    assert set(found.values()) == {tmp_path / "init.json"}
    assert processes.of_node(tmp_path / "init.json") == list(found)
    assert processes.of_node(tmp_path / "other.json") == []
