from __future__ import annotations

import shutil
import time
from pathlib import Path

import pytest

from lmigrate.lab.errors import LabError
from lmigrate.lab.guests.recorder import Recorder


def line(count: int) -> str:
    return f"tick n={count} boot=1a2b3c4d ok bad=0 pages=0\n"


def say(path: Path, text: str) -> None:
    path.parent.mkdir(exist_ok=True)
    with path.open("a") as file:
        file.write(text)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return tmp_path / "node5" / "guest" / "console.log"


@pytest.fixture
def destination(tmp_path: Path) -> Path:
    return tmp_path / "node6" / "guest" / "console.log"


@pytest.fixture
def files(source: Path, destination: Path) -> dict[str, Path]:
    source.parent.parent.mkdir()
    destination.parent.parent.mkdir()
    say(source, line(1) + line(2))
    return {"node5": source, "node6": destination}


def counts(recorder: Recorder) -> list[int]:
    return [item.line.count for item in recorder.heard]


def test_only_what_comes_later_is_heard(files: dict[str, Path], source: Path) -> None:
    with Recorder(files) as recorder:
        say(source, line(3))
        assert [item.line.count for item in recorder.wait_until(1, timeout_s=5)] == [3]


def test_or_everything_from_the_start(files: dict[str, Path]) -> None:
    with Recorder(files, from_start=True) as recorder:
        pass
    assert counts(recorder) == [1, 2]


def test_a_line_cut_in_two_by_the_migration_is_whole_again(files: dict[str, Path], source: Path, destination: Path) -> None:
    with Recorder(files) as recorder:
        say(source, line(3) + line(4)[:20])
        recorder.wait_until(1, timeout_s=5)
        say(destination, line(4)[20:] + line(5))
        recorder.wait_until(3, timeout_s=5)
        shutil.rmtree(source.parent)
        say(source, line(6))  # and back, into a new file
        recorder.wait_until(4, timeout_s=5)
    assert counts(recorder) == [3, 4, 5, 6]
    assert recorder.report().hosts == ("node5", "node6")


def test_what_the_source_said_last_comes_before_what_the_destination_said_first(
    files: dict[str, Path], source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorder = Recorder(files)
    say(source, line(3))
    recorder._read()

    def read_late() -> bytes:
        """The last of the source is written after the source was read, and before the destination is."""
        monkeypatch.undo()
        say(source, line(4))
        return line(5).encode()

    monkeypatch.setattr(recorder._followers[1][1], "read", read_late)
    recorder._read()
    recorder._read()
    for _, follower in recorder._followers:
        follower.close()
    assert counts(recorder) == [3, 4, 5]


def test_the_tail_of_a_line_begun_before_is_skipped(files: dict[str, Path], source: Path) -> None:
    say(source, line(3)[:12])
    with Recorder(files) as recorder:
        say(source, line(3)[12:] + line(4))
        recorder.wait_until(1, timeout_s=5)
    assert counts(recorder) == [4]


def test_arrival_is_stamped_at_once(files: dict[str, Path], source: Path) -> None:
    with Recorder(files) as recorder:
        time.sleep(0.15)
        before = time.monotonic()
        say(source, line(3))
        (item,) = recorder.wait_until(1, timeout_s=5)
    assert 0 <= item.at_s - before < 0.05


def test_one_file_seen_under_two_names_is_read_once(files: dict[str, Path], source: Path) -> None:
    with Recorder({"node5": source, "node6": source}) as recorder:
        say(source, line(3))
        recorder.wait_until(1, timeout_s=5)
        time.sleep(0.05)
    assert counts(recorder) == [3]
    assert recorder.report().hosts == ("node5/node6",)


def test_silence_is_an_error(files: dict[str, Path]) -> None:
    with Recorder(files) as recorder, pytest.raises(LabError, match="0 of 3 ticks"):
        recorder.wait_ticks(3, timeout_s=0.05)
