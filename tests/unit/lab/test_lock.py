from __future__ import annotations

import shutil
import threading
from pathlib import Path

import pytest

from lmigrate.lab.errors import NoSuchLab
from lmigrate.lab.lock import lab_lock


def test_a_lab_that_is_not_there_cannot_be_held(tmp_path: Path) -> None:
    with pytest.raises(NoSuchLab), lab_lock(tmp_path / "lab", make=False):
        pass
    assert not (tmp_path / "lab").exists()


def test_the_second_waits_for_the_first(tmp_path: Path) -> None:
    order = []
    entered = threading.Event()

    def second() -> None:
        entered.set()
        with lab_lock(tmp_path / "lab"):
            order.append("second")

    thread = threading.Thread(target=second)
    with lab_lock(tmp_path / "lab"):
        thread.start()
        entered.wait(5)
        thread.join(0.2)
        order.append("first")
    thread.join(5)
    assert order == ["first", "second"]


def test_who_waited_while_the_lab_was_removed_makes_a_new_one(tmp_path: Path) -> None:
    seen = []

    def second() -> None:
        with lab_lock(tmp_path / "lab"):
            seen.append((tmp_path / "lab").exists())

    thread = threading.Thread(target=second)
    with lab_lock(tmp_path / "lab"):
        thread.start()
        thread.join(0.2)
        shutil.rmtree(tmp_path / "lab")
    thread.join(5)
    assert seen == [True]
