"""What a trial plays on: a lab, the way its guests go, and the migrations that are under way."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from lmigrate.lab.options import LabOptions
from lmigrate.lab.topology import Lab
from tests.chaos.subject import Subject
from tests.lab.labs import SETTINGS
from tests.lab.wire import Wire, eventually

#: how long the parts may take until they answer again; what follows is counted from there
BACK_DEADLINE_S = 60.0
_ENV = {
    **SETTINGS,
    "LMIGRATE_HOST__CONCURRENT_MIGRATIONS": "6",
    "LMIGRATE_HOST__LIBVIRT_DEADLINE_S": "10",
    "LMIGRATE_SCHEDULER__SERVICE_DOWN_TIME_S": "10",
    "LMIGRATE_STORAGE__SWEEP_INTERVAL_S": "2",
    "LMIGRATE_STORAGE__LEAK_GRACE_S": "4",
}


@dataclass
class Run:
    """One guest's migration, stopped at its stage.

    Attributes:
        began_s: CLOCK_MONOTONIC before the request; the guest's counter is looked at from there.
        is_hit: a fault took away the guest's own QEMU: its memory may be lost with it.
        is_stopped: a fault has stopped its QEMU on the destination: what holds it at its stage goes on with the end of the fault.
        is_target: there was something for the fault to hit.
    """

    subject: Subject
    stage: str
    migration: int
    began_s: float
    is_hit: bool = False
    is_stopped: bool = False
    is_target: bool = True


@dataclass
class Scene:
    """A lab in which guests go from ``source`` to ``destination``."""

    lab: Lab
    wire: Wire
    source: str = "node5"
    destination: str = "node6"
    runs: list[Run] = field(default_factory=list)

    def arm(self, point: str, action: str) -> Path:
        """What happens at a fail point; where somebody held there shows."""
        path = self.lab.faults_dir / point
        path.write_text(action)
        return path

    def disarm(self) -> None:
        """No fail point is left, and whoever is held goes on."""
        for path in self.lab.faults_dir.iterdir():
            path.unlink(missing_ok=True)

    def qemu(self, host: str, uuid: str) -> int | None:
        """The process id of a guest's QEMU on a host."""
        for pid, argv in self.lab.host(host).processes().items():
            if argv and "qemu-system" in argv[0] and uuid in argv:
                return pid
        return None

    def wait_back(self) -> None:
        """Until the API and all hosts answer again."""
        eventually("the API answers", self._is_api_ready, BACK_DEADLINE_S)
        eventually("all hosts are up", self._are_hosts_up, BACK_DEADLINE_S)

    def _is_api_ready(self) -> bool:
        try:
            return self.wire.http.get("/readyz").status_code == httpx.codes.OK
        except httpx.TransportError:
            return False

    def _are_hosts_up(self) -> bool:
        answer = self.wire.http.get("/v1/hosts")
        return answer.status_code == httpx.codes.OK and all(host["state"] == "up" for host in answer.json()["hosts"])


@contextmanager
def chaos_lab(lab_id: str, database: str) -> Iterator[Scene]:
    """A lab with local disks and volumes, for as long as the ``with`` block runs."""
    options = LabOptions(lab_id=lab_id, instances="private", database=database, env=_ENV)
    with Lab.throwaway(options) as lab:
        wire = Wire(lab)
        try:
            yield Scene(lab, wire)
        finally:
            wire.http.close()
