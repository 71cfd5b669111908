"""Everything that a migration could have left behind, as a value that can be compared."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields, replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import libvirt
from lxml import etree
from sqlalchemy import text

from lmigrate.config import DatabaseSettings
from lmigrate.db.session import make_engine
from lmigrate.lab.host import Host
from lmigrate.lab.topology import Lab

LOG = "console.log"
#: files up to this size are compared byte for byte, unless a guest that runs may write to them
_SUMMED_BYTES = 8 * 2**20
#: kept by the inventory, which is a moment behind libvirt
_RECORDS = {
    "instances": "SELECT uuid, name, host, vm_state, power_state, task_state, is_persistent, progress, anomaly FROM instances ORDER BY 1",
    "disks": "SELECT instance_uuid, device_name, path, format, destination_type FROM block_device_mappings ORDER BY 1, 2",
    "sightings": "SELECT instance_uuid, host, power_state, is_persistent FROM domain_sightings ORDER BY 1, 2",
}
_BOOKS = {
    "reservations": "SELECT migration_id, host, memory_mib FROM reservations ORDER BY 1",
    "open_migrations": "SELECT id, status, phase FROM migrations WHERE phase != 'ended' ORDER BY 1",
    "locks": "SELECT uuid, task_state FROM instances WHERE task_state IS NOT NULL ORDER BY 1",
}
_ATTACHMENTS = "SELECT uuid, volume_uuid, instance_uuid, host, migration_id, state FROM volume_attachments ORDER BY 1"


@dataclass(frozen=True)
class World:
    """A lab at one moment.

    Attributes:
        domains: (host, uuid) → name, state, definition, autostart.
        files: (host, path below the instances path) → size and checksum; of a large file, and of one that a guest that runs may write
            to, the size alone; a growing log counts as a log of any size.
        access: attachments, and by host the secrets that libvirt has.
        books: reservations, migrations that have not ended, and instances that are locked by one.
        records: instances, disks and sightings.
    """

    domains: dict[tuple[str, str], Any]
    files: dict[tuple[str, str], Any]
    access: dict[str, Any]
    books: dict[str, list[tuple[Any, ...]]]
    records: dict[str, list[tuple[Any, ...]]]

    @classmethod
    def of(cls, lab: Lab) -> World:
        """Look at everything."""
        domains: dict[tuple[str, str], Any] = {}
        files: dict[tuple[str, str], Any] = {}
        access: dict[str, Any] = _rows(lab, {"attachments": _ATTACHMENTS})
        written: set[str] = set()
        for host in lab.hosts.values():
            with _libvirt(host) as connection:
                domains |= _domains(host, connection)
                access[f"secrets on {host.name}"] = _secrets(connection)
                written |= _written(host, connection)
        for host in lab.hosts.values():
            files |= _files_of(host, written)
        return cls(domains, files, access, _rows(lab, _BOOKS), _rows(lab, _RECORDS))

    def difference(self, other: World) -> str:
        """What ``other`` has differently, a line each."""
        lines = []
        for part in (item.name for item in fields(self)):
            mine, theirs = getattr(self, part), getattr(other, part)
            changed = [key for key in {**mine, **theirs} if mine.get(key) != theirs.get(key)]
            lines += [f"{part} {key}: {mine.get(key)} → {theirs.get(key)}" for key in changed]
        return "\n".join(lines)


def assert_unchanged(lab: Lab, before: World, deadline_s: float = 8.0) -> None:
    """Domains, files, access and books are as before at once; the inventory's records have a moment to follow."""
    now = World.of(lab)
    strict = replace(now, records=before.records)
    assert not before.difference(strict), before.difference(strict)
    until = time.monotonic() + deadline_s
    while before.difference(now):
        assert time.monotonic() < until, before.difference(now)
        time.sleep(0.1)
        now = World.of(lab)


def domains_of(host: Host) -> dict[tuple[str, str], Any]:
    """Name, state, definition and autostart of each domain on a host."""
    with _libvirt(host) as connection:
        return _domains(host, connection)


@contextmanager
def _libvirt(host: Host) -> Iterator[libvirt.virConnect]:
    connection = libvirt.open(f"qemu+unix:///system?socket={host.file('/run/libvirt/libvirt-sock')}")
    try:
        yield connection
    finally:
        connection.close()


def _domains(host: Host, connection: libvirt.virConnect) -> dict[tuple[str, str], Any]:
    return {(host.name, domain.UUIDString()): _domain(domain) for domain in connection.listAllDomains()}


def _domain(domain: libvirt.virDomain) -> dict[str, Any]:
    kept = domain.isPersistent()
    definition = domain.XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE) if kept else None
    return {"name": domain.name(), "state": domain.state()[0], "definition": definition, "autostart": bool(kept and domain.autostart())}


def _secrets(connection: libvirt.virConnect) -> list[tuple[str, str]]:
    return sorted((secret.UUIDString(), secret.usageID()) for secret in connection.listAllSecrets())


def _written(host: Host, connection: libvirt.virConnect) -> set[str]:
    """Paths below the instances path that guests which are active on the host may write to."""
    paths: set[str] = set()
    for domain in (domain for domain in connection.listAllDomains() if domain.isActive()):
        root = etree.fromstring(domain.XMLDesc())
        paths |= {str(path) for path in root.xpath("devices/disk[not(readonly)]/source/@file | os/nvram/text()")}
    return {path.removeprefix(f"{host.instances_path}/") for path in paths}


def files_of_guest(host: Host, uuid: str) -> dict[str, int]:
    """Size by name of the files in a guest's directory."""
    directory = host.instances_dir / uuid
    return {path.name: path.stat().st_size for path in directory.iterdir()} if directory.is_dir() else {}


def _files_of(host: Host, written: set[str]) -> dict[tuple[str, str], Any]:
    found = {}
    for path in host.instances_dir.rglob("*"):
        inside = path.relative_to(host.instances_dir)
        if inside.parts[0] != "_base":
            found[host.name, str(inside)] = "log" if path.name == LOG else _content(path, is_written=str(inside) in written)
    return found


def _content(path: Path, *, is_written: bool) -> Any:
    try:
        if path.is_dir():
            return "directory"
        size_bytes = path.stat().st_size
        if is_written or size_bytes > _SUMMED_BYTES:
            return size_bytes
        return size_bytes, sha256(path.read_bytes()).hexdigest()
    except FileNotFoundError:
        return "vanished meanwhile"


def _rows(lab: Lab, queries: dict[str, str]) -> dict[str, list[tuple[Any, ...]]]:
    engine = make_engine(DatabaseSettings(url=lab.database_url))
    try:
        with engine.connect() as connection:
            return {name: [tuple(row) for row in connection.execute(text(query))] for name, query in queries.items()}
    finally:
        engine.dispose()
