"""Commands: what they say, what they may take, and that nothing of them is waited for longer."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from lmigrate import shell
from lmigrate.clock import monotonic_s
from lmigrate.shell import CommandFailed, CommandTimedOut

FOR_EVER_S = 600


def test_its_output_and_its_input() -> None:
    assert shell.run(["cat"], stdin="told") == "told"
    assert shell.run(["true"]) == ""


def test_a_failure_says_what_was_run_but_no_secret() -> None:
    with pytest.raises(CommandFailed) as error:
        shell.run(["false", "hunter2"], hidden=["hunter2"])
    assert str(error.value) == "`false '***'` failed (exit 1: )"
    assert not isinstance(error.value, CommandTimedOut)


def test_a_program_that_is_not_there() -> None:
    with pytest.raises(CommandFailed, match="No such file"):
        shell.run(["/nowhere/at/all"])


def test_children_that_hold_the_pipes_are_not_waited_for(tmp_path: Path) -> None:
    """Whoever kills the command alone reads its pipes until the child ends."""
    begin_s = monotonic_s()
    script = f"sleep {FOR_EVER_S} & echo $! > {tmp_path}/child; wait"
    with pytest.raises(CommandTimedOut, match=r"no end within 0\.5 s"):
        shell.run(["sh", "-c", script], timeout_s=0.5)
    assert monotonic_s() - begin_s < FOR_EVER_S / 2
    child = int((tmp_path / "child").read_text())
    assert not Path(f"/proc/{child}/cmdline").exists() or b"sleep" not in Path(f"/proc/{child}/cmdline").read_bytes()
    assert os.getpid() != child
