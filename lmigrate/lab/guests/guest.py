"""A guest of the lab, wherever it is."""

from __future__ import annotations

import json
import shutil
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Self

from lmigrate.lab.errors import LabError
from lmigrate.lab.guests.domain_xml import CONSOLE, disk_name
from lmigrate.lab.guests.instance_files import disk_checksum
from lmigrate.lab.guests.recorder import Recorder
from lmigrate.lab.guests.report import Heard, Report
from lmigrate.lab.guests.spec import GuestSpec

if TYPE_CHECKING:
    from lmigrate.lab.host import Host
    from lmigrate.lab.topology import Lab


class NoSuchGuest(LabError):
    """Lab {lab_id} has no guest {guest}; it has {guests}."""


class Guest:
    """A guest, by its UUID; use it as a context manager to stop it at the end.

    It is heard from the first call on that asks for what it said (for one that
    :func:`~lmigrate.lab.guests.start.start_guest` made: from its start).

    Attributes:
        lab: where it lives.
        spec: what it was asked to be.
    """

    def __init__(self, lab: Lab, spec: GuestSpec) -> None:
        self.lab = lab
        self.spec = spec

    @classmethod
    def find(cls, lab: Lab, name_or_uuid: str) -> Guest:
        """The guest of that name or UUID.

        Raises:
            NoSuchGuest: the lab has none.
        """
        guests = cls.all(lab)
        for guest in guests:
            if name_or_uuid in {guest.name, guest.uuid}:
                return guest
        names = ", ".join(guest.name for guest in guests) or "none"
        raise NoSuchGuest(lab_id=lab.options.lab_id, guest=name_or_uuid, guests=names)

    @classmethod
    def all(cls, lab: Lab) -> list[Guest]:
        """Every guest that was started in the lab and not stopped."""
        return [cls(lab, GuestSpec.from_json(json.loads(path.read_text()))) for path in sorted(_records(lab).glob("*.json"))]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def uuid(self) -> str:
        """Its UUID."""
        return self.spec.uuid

    @property
    def name(self) -> str:
        """The name of its domain."""
        return self.spec.name

    def directory(self, host_name: str) -> Path:
        """Its instance directory on a host, as reachable from the machine; it need not exist."""
        return self.lab.host(host_name).instances_dir / self.uuid

    def states(self) -> dict[str, str]:
        """The state of its domain on each host that has one (``running``, ``paused``, ``shut off``...)."""
        answers = {host.name: host.virsh("domstate", self.uuid, check=False) for host in self._hosts_up()}
        return {name: answer.stdout.strip() for name, answer in answers.items() if answer.returncode == 0}

    # -- what it says -----------------------------------------------------------------------------

    @cached_property
    def recorder(self) -> Recorder:
        """What hears it; listens on all hosts."""
        return Recorder(self.consoles)

    @property
    def consoles(self) -> dict[str, Path]:
        """Its serial file on each host."""
        return {name: self.directory(name) / CONSOLE for name in self.lab.hosts}

    def lines(self) -> list[Heard]:
        """Every line heard so far."""
        return self._listening().heard

    def last(self) -> Heard | None:
        """The newest line; None when nothing was heard yet."""
        heard = self.lines()
        return heard[-1] if heard else None

    def report(self, since: float = 0.0, until: float = float("inf")) -> Report:
        """The report over what was heard between two moments (CLOCK_MONOTONIC, `lmigrate.clock.monotonic_s`)."""
        return self._listening().report(since, until)

    def wait_ticks(self, count: int, timeout_s: float = 30.0) -> list[Heard]:
        """Wait for ``count`` further lines and return them.

        Raises:
            LabError: they did not come in time.
        """
        return self._listening().wait_ticks(count, timeout_s)

    @property
    def recording(self) -> Path:
        """Where a recording that goes on between commands is kept (see `recording.py`)."""
        return _records(self.lab) / f"{self.uuid}.heard"

    @property
    def recording_daemon(self) -> str:
        """The name of the daemon that records."""
        return f"recorder-{self.name}"

    # -- its disks --------------------------------------------------------------------------------

    def disk_paths(self, host_name: str) -> list[Path]:
        """Its local disks as the host sees them."""
        directory = self.lab.host(host_name).instances_path / self.uuid
        return [directory / disk_name(place) for place in range(len(self.spec.disks))]

    def disk_checksums(self, host_name: str) -> list[str]:
        """SHA-256 of the content of each disk on a host, as the guest sees it; stable only while nobody writes."""
        return [disk_checksum(self.lab.host(host_name), path) for path in self.disk_paths(host_name)]

    # -- its end ----------------------------------------------------------------------------------

    def save(self) -> None:
        """Keep the specification in the lab, for other processes."""
        _records(self.lab).mkdir(exist_ok=True)
        self._record.write_text(json.dumps(self.spec.to_json(), indent=1))

    def stop(self) -> None:
        """End the guest and remove its domain and files on every host; twice is fine."""
        for host in self._hosts_up():
            host.virsh("destroy", self.uuid, check=False)
            host.virsh("undefine", self.uuid, check=False)
        if "recorder" in self.__dict__:
            self.recorder.stop()
        for name in self.lab.hosts:
            shutil.rmtree(self.directory(name), ignore_errors=True)
        self.lab.front.stop_daemon(self.recording_daemon)
        self.recording.unlink(missing_ok=True)
        self._record.unlink(missing_ok=True)

    @property
    def _record(self) -> Path:
        return _records(self.lab) / f"{self.uuid}.json"

    def _hosts_up(self) -> list[Host]:
        return [host for host in self.lab.hosts.values() if host.is_up]

    def _listening(self) -> Recorder:
        self.recorder.start()
        return self.recorder


def _records(lab: Lab) -> Path:
    return lab.paths.top / "guests"
