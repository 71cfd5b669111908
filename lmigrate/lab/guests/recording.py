"""A recording that goes on between commands: a process of the lab hears a guest and writes down what arrives.

Run as ``python -m lmigrate.lab.guests.recording LAB GUEST`` in the lab's front node, so that it ends with the lab.
"""

from __future__ import annotations

import json
import signal
import sys
import threading
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from lmigrate.lab.guests.guest import Guest
from lmigrate.lab.guests.line import TickLine
from lmigrate.lab.guests.report import Heard
from lmigrate.lab.wait import wait_for

if TYPE_CHECKING:
    from lmigrate.lab.topology import Lab

_WRITE_EVERY_S = 0.2
#: it is a new process, and the machine may be busy
_LISTENS_S = 60.0


def start_recording(guest: Guest) -> None:
    """Begin to record, unless that is being done; what the guest says from now on is in the recording.

    Raises:
        StartFailed: the recorder does not listen after `_LISTENS_S`.
    """
    argv = [sys.executable, "-m", "lmigrate.lab.guests.recording", guest.lab.options.lab_id, guest.uuid]
    guest.lab.front.start_daemon(guest.recording_daemon, argv)
    wait_for(f"the recorder of {guest.name}", guest.recording.exists, deadline_s=_LISTENS_S)


def read_recording(guest: Guest) -> list[Heard]:
    """What has been recorded; empty when the guest is not being recorded."""
    try:
        text = guest.recording.read_text()
    except FileNotFoundError:
        return []
    whole = text[: text.rfind("\n") + 1]  # the last line may be being written
    return [_heard(json.loads(line)) for line in whole.splitlines()]


def write_recording(path: Path, heard: Iterable[Heard]) -> None:
    """Append to a recording."""
    with path.open("a") as file:
        file.writelines(json.dumps(asdict(item)) + "\n" for item in heard)


def record(guest: Guest, ended: threading.Event) -> None:
    """Hear a guest and write down what arrives, until ``ended``."""
    with guest.recorder as recorder:
        guest.recording.touch()  # it listens
        written = 0
        while not ended.wait(_WRITE_EVERY_S):
            heard = recorder.heard
            write_recording(guest.recording, heard[written:])
            written = len(heard)


def _heard(data: dict[str, object]) -> Heard:
    line = data["line"]
    return Heard(float(str(data["at_s"])), str(data["host"]), TickLine(**line))  # type: ignore[arg-type]


def main(lab_id: str, guest_uuid: str) -> None:
    """The process."""
    from lmigrate.lab.topology import Lab  # noqa: PLC0415 - the lab's command line imports the guests

    ended = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ended.set())
    lab: Lab = Lab.attach(lab_id)
    record(Guest.find(lab, guest_uuid), ended)


if __name__ == "__main__":
    main(*sys.argv[1:])
