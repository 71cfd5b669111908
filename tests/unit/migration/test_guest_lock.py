"""The lock per guest, between threads and between processes."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

import pytest

from lmigrate.errors import GuestBusy
from lmigrate.migration.guest_lock import guest_lock

HOLD = """
import sys, time
from pathlib import Path
from lmigrate.migration.guest_lock import guest_lock
with guest_lock(Path(sys.argv[1]), sys.argv[2]):
    print("held", flush=True)
    sys.stdin.read()
"""


def holder(directory: Path, uuid: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", HOLD, str(directory), uuid]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


def take(directory: Path, uuid: str) -> threading.Event:
    """Set once the lock was ours."""
    taken = threading.Event()

    def work() -> None:
        with guest_lock(directory, uuid):
            taken.set()

    threading.Thread(target=work, daemon=True).start()
    return taken


def test_another_process_is_waited_for(tmp_path: Path) -> None:
    with holder(tmp_path, "guest") as process:
        taken = take(tmp_path, "guest")
        assert not taken.wait(0.1)
        process.communicate()
        assert taken.wait(10)


def test_its_death_frees_the_lock(tmp_path: Path) -> None:
    with holder(tmp_path, "guest") as process:
        taken = take(tmp_path, "guest")
        process.kill()
        assert taken.wait(10)


def test_threads_of_one_process_exclude_each_other(tmp_path: Path) -> None:
    with guest_lock(tmp_path / "made", "guest"):
        taken = take(tmp_path / "made", "guest")
        assert not taken.wait(0.1)
    assert taken.wait(10)


def test_who_does_not_wait_for_ever_is_told_of_whom(tmp_path: Path) -> None:
    with (
        guest_lock(tmp_path, "guest"),
        pytest.raises(GuestBusy, match="still at work on instance guest"),
        guest_lock(tmp_path, "guest", patience_s=0),
    ):
        pass
    with guest_lock(tmp_path, "guest", patience_s=0):
        pass


def test_other_guests_are_not_held_up(tmp_path: Path) -> None:
    with guest_lock(tmp_path, "guest"):
        assert take(tmp_path, "other").wait(10)
