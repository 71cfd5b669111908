"""A guest with volumes, and what the storage, the records and libvirt say about them."""

from __future__ import annotations

import itertools
import json
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import text

from lmigrate.config import DatabaseSettings
from lmigrate.crypto import decrypt
from lmigrate.db.session import make_engine
from lmigrate.ids import new_uuid
from lmigrate.lab.guests.guest import Guest
from lmigrate.lab.guests.spec import GuestSpec
from lmigrate.lab.guests.start import start_guest
from lmigrate.lab.host import Host
from lmigrate.lab.topology import Lab
from lmigrate.lab.volumes import LabVolume, attach_volumes, make_volumes
from lmigrate.storage.drivers.tgtadm import Target, parse_targets
from tests.lab.conftest import StartGuest
from tests.lab.labs import TICKS_HZ
from tests.lab.wire import Wire, eventually

VOLUME_MIB = 4
#: how the usage of a secret begins that lmigrate makes: its attachment comes after it
OURS = "lmigrate-"
_numbers = itertools.count(1)
_ATTACHMENTS = "SELECT uuid, volume_uuid, instance_uuid, host, migration_id, state, connector, connection_info FROM volume_attachments"
_MAPPINGS = "SELECT instance_uuid, device_name, volume_uuid, attachment_uuid, source_name FROM block_device_mappings ORDER BY 1, 2"


@dataclass(frozen=True)
class Carrier:
    """A guest whose first volume (vdb) is what it boots from, on the lab's tgtd."""

    lab: Lab
    guest: Guest
    volumes: list[LabVolume]

    @property
    def uuid(self) -> str:
        return self.guest.uuid

    def is_healthy(self, wire: Wire) -> bool:
        seen = wire.server(self.uuid)
        return (seen["vm_state"], seen["task_state"], self.guest.states()) == ("active", None, {seen["host"]: "running"})

    def targets(self) -> list[Target]:
        """Those of its volumes that tgtd has."""
        known = targets(self.lab)
        return [known[name] for name in (self.target_name(volume) for volume in self.volumes) if name in known]

    @staticmethod
    def target_name(volume: LabVolume) -> str:
        return f"iqn.2026-11.org.lmigrate:{volume.uuid}"

    def let_in(self) -> list[list[str]]:
        """Hosts in each target's ACL, as tgtd tells."""
        return [sorted(name.rpartition(":")[2] for name in target.initiators) for target in self.targets()]

    def logged_in(self) -> set[str]:
        """Hosts with a session on any of its targets."""
        return {name.rpartition(":")[2] for target in self.targets() for _, _, name in target.sessions}

    def assert_only(self, host: str) -> None:
        """``host`` alone may reach the volumes: on the storage, in the records, in libvirt; and it alone does."""
        assert self.let_in() == [[host]] * len(self.volumes)
        assert [len(target.accounts) for target in self.targets()] == [1] * len(self.volumes)
        eventually(f"only {host} is logged in", lambda: self.logged_in() == {host})
        mine = [row for row in rows(self.lab, _ATTACHMENTS) if row[2] == self.uuid]
        assert [(row[3], row[4], row[5].lower()) for row in mine] == [(host, None, "granted")] * len(self.volumes)
        used = {row[3] for row in rows(self.lab, _MAPPINGS) if row[0] == self.uuid and row[2] is not None}
        assert used == {row[0] for row in mine}
        named = {row[0] for row in mine}
        assert {f"{OURS}{attachment}" for attachment in named} <= set(libvirt_secrets(self.lab.host(host)).values())
        eventually("no host has a secret that it does not need", lambda: secrets_out_of_place(self.lab) == {})

    def chap_secrets(self) -> set[str]:
        """In clear, from the records."""
        tokens = [row[7] for row in rows(self.lab, _ATTACHMENTS) if row[2] == self.uuid and row[7]]
        return {json.loads(decrypt(token, [self.lab.state.secret_key]))["secret"] for token in tokens}


def start_carrier(lab: Lab, wire: Wire, start: StartGuest | None, count: int, **options: Any) -> Carrier:
    """A guest on node5 with ``count`` volumes from vdb on."""
    uuid, number = new_uuid(), next(_numbers)
    volumes = make_volumes(lab, [f"c{number}-{place}" for place in range(count)], VOLUME_MIB)
    spec = GuestSpec(**{"name": f"carrier{number}", "memory_mib": 32, "rate_hz": TICKS_HZ, **options}, uuid=uuid)
    if spec.firmware == "volume":
        volumes[0].make_bootable(spec.parameters)
    disks = attach_volumes(volumes, "node5", uuid, [f"vd{'bcdefgh'[place]}" for place in range(count)], boot_index=1)
    options["devices_xml"] = "".join(disks) + options.get("devices_xml", "")
    if start is not None:
        guest = start("node5", uuid=uuid, **options)
    else:
        spec = GuestSpec(**{"name": f"carrier{number}", "memory_mib": 32, "rate_hz": TICKS_HZ, **options}, uuid=uuid)
        guest = start_guest(lab, "node5", spec)
        wire.wait_found(uuid, "node5")
    made = Carrier(lab, guest, volumes)
    made.assert_only("node5")
    return made


def start_carriers(lab: Lab, wire: Wire, start: StartGuest, count: int, **options: Any) -> list[Carrier]:
    """Guests on node5 with one volume each."""
    volumes = make_volumes(lab, [f"many{next(_numbers)}" for _ in range(count)], VOLUME_MIB)

    def begin(volume: LabVolume) -> Carrier:
        uuid = new_uuid()
        return Carrier(lab, start("node5", uuid=uuid, devices_xml=volume.attach("node5", uuid, "vdb"), **options), [volume])

    with ThreadPoolExecutor(3) as pool:
        return list(pool.map(begin, volumes))


def targets(lab: Lab) -> dict[str, Target]:
    """All that tgtd has, by name; empty while it does not run."""
    answer = lab.ctl.run(["tgtadm", "--lld", "iscsi", "--op", "show", "--mode", "target"])
    return {target.name: target for target in parse_targets(answer.stdout)}


def tgtadm(lab: Lab, operation: str, mode: str, *words: str) -> str:
    """One command to the lab's tgtd."""
    return lab.ctl.run(["tgtadm", "--lld", "iscsi", "--op", operation, "--mode", mode, *words], check=True).stdout


def libvirt_secrets(host: Host) -> dict[str, str]:
    """Usage by UUID."""
    lines = [line.split() for line in host.virsh("secret-list").stdout.splitlines() if line.strip()]
    return {words[0]: words[-1] for words in lines}


def secrets_out_of_place(lab: Lab) -> dict[str, list[str]]:
    """Secrets of ours, by host, that no attachment of that host names: of a move that has ended, one way or the other."""
    named = {(row[3], f"{OURS}{row[0]}") for row in rows(lab, _ATTACHMENTS)}
    kept = {(name, usage) for name, host in lab.hosts.items() for usage in libvirt_secrets(host).values() if usage.startswith(OURS)}
    return {name: sorted(usage for host, usage in kept - named if host == name) for name, _ in kept - named}


def rows(lab: Lab, query: str) -> list[tuple[Any, ...]]:
    """Rows of the lab's database."""
    engine = make_engine(DatabaseSettings(url=lab.database_url))
    try:
        with engine.connect() as connection:
            return [tuple(row) for row in connection.execute(text(query))]
    finally:
        engine.dispose()


def change(lab: Lab, statement: str) -> None:
    """Change the lab's database behind everybody's back."""
    engine = make_engine(DatabaseSettings(url=lab.database_url))
    try:
        with engine.begin() as connection:
            connection.execute(text(statement))
    finally:
        engine.dispose()


def access(lab: Lab) -> dict[str, Any]:
    """All that says who may reach which volume, and who does: byte for byte the same after a failure."""
    return {
        "mappings": rows(lab, _MAPPINGS),
        "attachments": rows(lab, f"{_ATTACHMENTS} ORDER BY uuid"),
        "targets": targets(lab),  # ACL, accounts, and the sessions with their numbers
        "accounts": sorted(tgtadm(lab, "show", "account").split()),
        "secrets": {name: libvirt_secrets(host) for name, host in lab.hosts.items()},
    }


def assert_access_unchanged(lab: Lab, before: dict[str, Any], deadline_s: float = 6.0) -> None:
    """As before; tgtd takes a moment to notice that a session has ended, and the sweep may come by for what was left before."""
    until = time.monotonic() + deadline_s
    left_before = _unnamed(before)
    before = _without(before, left_before)
    while (now := _without(access(lab), left_before)) != before:
        assert time.monotonic() < until, "\n".join(f"{key}: {before[key]} → {now[key]}" for key in now if now[key] != before[key])
        time.sleep(0.1)


def _unnamed(found: dict[str, Any]) -> set[str]:
    """Accounts that no attachment names: of guests that shared a volume with another on their host, until the sweep takes them."""
    named = {f"lm-{row[0]}" for row in found["attachments"]}
    return {name for name in found["accounts"] if name.startswith("lm-")} - named


def _without(found: dict[str, Any], accounts: set[str]) -> dict[str, Any]:
    kept = {name: replace(one, accounts=[each for each in one.accounts if each not in accounts]) for name, one in found["targets"].items()}
    return {**found, "targets": kept, "accounts": [name for name in found["accounts"] if name not in accounts]}
