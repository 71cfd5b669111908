"""A guest that is moved while things break: what it is, and what must be whole of it afterwards."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

from lmigrate.lab.guests.guest import Guest
from lmigrate.lab.guests.spec import DiskSpec
from lmigrate.lab.topology import Lab
from tests.lab.labs import TICKS_HZ
from tests.lab.volumes.carrier import Carrier, start_carrier
from tests.lab.wire import Wire, eventually

_LOCAL = DiskSpec("raw", 4, fill_mib=1)
#: what each kind is started with; all have a volume and a local disk
KINDS: dict[str, dict[str, Any]] = {
    "small": {"memory_mib": 32},  # gone in a moment
    "large": {"memory_mib": 64, "fill_mib": 24},  # long enough under way to be stopped in the middle
    "writer": {"memory_mib": 192, "fill_mib": 24, "kind": "linux"},  # writes to its disks and reads back
    "paused": {"memory_mib": 32, "paused": True},  # by its owner
}
_numbers = itertools.count(1)


@dataclass
class Subject:
    """A guest with a volume and a local disk.

    Attributes:
        contents: of the volume and the local disk, as they were at the start; None for a guest that writes to them.
    """

    carrier: Carrier
    kind: str
    contents: tuple[str, ...] | None = field(default=None)

    @property
    def uuid(self) -> str:
        return self.carrier.uuid

    @property
    def guest(self) -> Guest:
        return self.carrier.guest

    @property
    def power(self) -> str:
        """How libvirt calls the state that it is in when all is well."""
        return "paused" if self.kind == "paused" else "running"

    def contents_on(self, host: str) -> tuple[str, ...]:
        """Checksums of its volumes' backing stores, and of its local disk on ``host``."""
        volumes = [sha256(volume.path.read_bytes()).hexdigest() for volume in self.carrier.volumes]
        return (*volumes, *self.guest.disk_checksums(host))

    def let_run(self, wire: Wire) -> None:
        """A guest that arrived paused is moved on only when it was seen running since; others run anyway."""
        if self.kind != "paused":
            return
        (host,) = self.guest.states()
        node = self.guest.lab.host(host)
        node.virsh("resume", self.uuid)
        eventually("it is seen running", lambda: wire.server(self.uuid)["vm_state"] == "active", 60)
        node.virsh("suspend", self.uuid)
        eventually("it is seen paused", lambda: wire.server(self.uuid)["vm_state"] == "paused", 60)

    def start_again(self, wire: Wire, host: str) -> None:
        """Its QEMU was killed: what its owner does."""
        self.guest.lab.host(host).virsh("start", self.uuid)
        self.guest.wait_ticks(2, timeout_s=120)
        if self.kind == "paused":
            self.guest.lab.host(host).virsh("suspend", self.uuid)
        eventually("it is seen again", lambda: _is_seen(wire, self.uuid, host), 60)


def start_subject(lab: Lab, wire: Wire, kind: str) -> Subject:
    """A new one, on node5."""
    options = {"name": f"{kind}{next(_numbers)}", "rate_hz": TICKS_HZ, "disks": (_LOCAL,), **KINDS[kind]}
    carrier = start_carrier(lab, wire, None, 1, **options)
    return Subject(carrier, kind, None if kind == "writer" else Subject(carrier, kind).contents_on("node5"))


def _is_seen(wire: Wire, uuid: str, host: str) -> bool:
    answer = wire.http.get(f"/v1/servers/{uuid}")
    if answer.status_code != 200:
        return False
    seen = answer.json()
    return (seen["host"], seen["vm_state"], seen["anomaly"]) in {(host, "active", None), (host, "paused", None)}
