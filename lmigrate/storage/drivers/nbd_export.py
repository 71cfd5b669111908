"""One qemu-nbd that serves one volume to one host: started, found again and ended by its own command line.

The record (JSON, beside the pid file) says what is to run and is written before the process
starts.  A process counts as ours if its arguments name our pid file; so it is found after the
storage daemon was killed, and a number that the kernel has given to somebody else is not taken
for it.
"""

from __future__ import annotations

import json
import os
import signal
from dataclasses import asdict, dataclass
from pathlib import Path

from lmigrate import clock, shell
from lmigrate.shell import CommandFailed

#: SIGTERM until then, SIGKILL after, and no more waiting after twice as long
_STOP_DEADLINE_S = 10.0


@dataclass(frozen=True)
class Export:
    """What one process serves, and to whom."""

    attachment_uuid: str
    volume_uuid: str
    name: str  # of the export
    path: str
    initiator: str  # of the host, as its connector says
    client_subject: str  # the only distinguished name that is let in
    port: int


class Exports:
    """The exports recorded in one directory."""

    def __init__(self, directory: Path, address: str, pki_dir: Path) -> None:
        self._directory = directory
        self._address = address
        self._pki_dir = pki_dir

    def recorded(self) -> list[Export]:
        """Every export that is to run, running or not."""
        return [Export(**json.loads(path.read_text())) for path in sorted(self._directory.glob("*.json"))]

    def record(self, export: Export) -> None:
        """Write down what is to run: complete or not at all."""
        self._directory.mkdir(parents=True, exist_ok=True)
        staging = self._directory / f".{export.attachment_uuid}"
        staging.write_text(json.dumps(asdict(export)))
        staging.replace(self._record_path(export.attachment_uuid))

    def ensure(self, export: Export) -> None:
        """Let it run exactly as recorded.

        Raises:
            CommandFailed: qemu-nbd says why it does not start.
        """
        if self.is_running(export):
            return
        self._stop(export.attachment_uuid)  # one with other arguments
        shell.run(self.argv(export))

    def is_running(self, export: Export) -> bool:
        """Whether a process with exactly these arguments lives."""
        wanted = self.argv(export)
        return any(arguments == wanted for arguments in self._processes(export.attachment_uuid).values())

    def remove(self, attachment_uuid: str) -> None:
        """End the process, and with it the host's sessions; then forget it.  Absent is fine.

        Raises:
            CommandFailed: the process does not end.
        """
        self._stop(attachment_uuid)
        self._pid_path(attachment_uuid).unlink(missing_ok=True)
        self._record_path(attachment_uuid).unlink(missing_ok=True)

    def argv(self, export: Export) -> list[str]:
        """The command line.

        The image is not locked: while a guest moves, two exports serve one file, to a source that stops writing
        before the destination begins.  Both go through one page cache, so each reads what the other wrote.
        """
        image = f"driver=raw,file.driver=file,file.filename={_escaped(export.path)},file.locking=off"
        return [
            "qemu-nbd",
            "--fork",
            "--persistent",
            "--shared=0",
            f"--bind={self._address}",
            f"--port={export.port}",
            f"--pid-file={self._pid_path(export.attachment_uuid)}",
            f"--export-name={export.name}",
            f"--object=tls-creds-x509,id=tls,endpoint=server,verify-peer=yes,dir={_escaped(str(self._pki_dir))}",
            f"--object=authz-simple,id=host,identity={_escaped(export.client_subject)}",
            "--tls-creds=tls",
            "--tls-authz=host",
            "--discard=unmap",
            "--image-opts",
            image,
        ]

    def _stop(self, attachment_uuid: str) -> None:
        begin = clock.monotonic_s()
        while processes := self._processes(attachment_uuid):
            waited_s = clock.monotonic_s() - begin
            if waited_s > 2 * _STOP_DEADLINE_S:
                raise CommandFailed(command="qemu-nbd", reason=f"process {sorted(processes)} does not end")
            for pid in processes:
                _signal(pid, signal.SIGTERM if waited_s < _STOP_DEADLINE_S else signal.SIGKILL)
            clock.sleep_s(0.05)

    def _processes(self, attachment_uuid: str) -> dict[int, list[str]]:
        """Arguments by process of everything that was started with this attachment's pid file."""
        mark = f"--pid-file={self._pid_path(attachment_uuid)}"
        everything = {int(entry.name): _arguments(entry) for entry in Path("/proc").iterdir() if entry.name.isdigit()}
        return {pid: arguments for pid, arguments in everything.items() if mark in arguments}

    def _pid_path(self, attachment_uuid: str) -> Path:
        return self._directory / f"{attachment_uuid}.pid"

    def _record_path(self, attachment_uuid: str) -> Path:
        return self._directory / f"{attachment_uuid}.json"


def _arguments(process: Path) -> list[str]:
    """Empty for one that is gone, and for one that has ended and waits for its parent."""
    try:
        return (process / "cmdline").read_bytes().decode(errors="replace").split("\0")[:-1]
    except (FileNotFoundError, ProcessLookupError):
        return []


def _signal(pid: int, number: signal.Signals) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:  # it ended between the look and now
        return


def _escaped(value: str) -> str:
    """A value within QEMU's key=value,… syntax."""
    return value.replace(",", ",,")
