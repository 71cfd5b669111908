from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

from lmigrate.lab.guests.line import TickLine
from lmigrate.lab.guests.recording import read_recording, write_recording
from lmigrate.lab.guests.report import Heard

HEARD = [Heard(12.5 + n, "node5", TickLine(n, "1a2b3c4d", 0, 7, {"rtc": "12:00:00"})) for n in range(3)]


def test_what_was_recorded_is_read_again(tmp_path: Path) -> None:
    guest = SimpleNamespace(recording=tmp_path / "guest.heard")
    write_recording(guest.recording, HEARD[:2])
    write_recording(guest.recording, HEARD[2:])
    assert read_recording(guest) == HEARD  # type: ignore[arg-type]


def test_a_line_that_is_being_written_is_left_for_later(tmp_path: Path) -> None:
    guest = SimpleNamespace(recording=tmp_path / "guest.heard")
    write_recording(guest.recording, HEARD)
    guest.recording.write_text(guest.recording.read_text()[:-10])
    assert read_recording(guest) == HEARD[:2]  # type: ignore[arg-type]


def test_nothing_was_recorded(tmp_path: Path) -> None:
    assert read_recording(SimpleNamespace(recording=tmp_path / "none")) == []  # type: ignore[arg-type]
