"""Everything that a migration could have left behind, as a value that can be compared."""

from __future__ import annotations

import time
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import libvirt
from sqlalchemy import text

from lmigrate.config import DatabaseSettings
from lmigrate.db.session import make_engine
from lmigrate.lab.host import Host
from lmigrate.lab.topology import Lab

LOG = "console.log"
#: kept by the inventory, which is a moment behind libvirt
_RECORDS = {
    "instances": "SELECT uuid, name, host, vm_state, power_state, task_state, is_persistent, progress, anomaly FROM instances ORDER BY 1",
    "disks": "SELECT instance_uuid, device_name, path, format, destination_type FROM block_device_mappings ORDER BY 1, 2",
    "sightings": "SELECT instance_uuid, host, power_state, is_persistent FROM domain_sightings ORDER BY 1, 2",
}
_BOOKS = {
    "reservations": "SELECT migration_id, host, memory_mib FROM reservations ORDER BY 1",
    "open_migrations": "SELECT id, status, phase FROM migrations WHERE phase != 'ended' ORDER BY 1",
}


@dataclass(frozen=True)
class World:
    """A lab at one moment.

    Attributes:
        domains: (host, uuid) → name, state, definition.
        files: (host, path below the instances path) → size; a growing log counts as a log of any size.
        books: reservations and migrations that have not ended.
        records: instances, disks and sightings.
    """

    domains: dict[tuple[str, str], Any]
    files: dict[tuple[str, str], Any]
    books: dict[str, list[tuple[Any, ...]]]
    records: dict[str, list[tuple[Any, ...]]]

    @classmethod
    def of(cls, lab: Lab) -> World:
        """Look at everything."""
        domains: dict[tuple[str, str], Any] = {}
        files: dict[tuple[str, str], Any] = {}
        for host in lab.hosts.values():
            domains |= domains_of(host)
            files |= _files_of(host)
        return cls(domains, files, _rows(lab, _BOOKS), _rows(lab, _RECORDS))

    def difference(self, other: World) -> str:
        """What ``other`` has differently, a line each."""
        lines = []
        for part in (item.name for item in fields(self)):
            mine, theirs = getattr(self, part), getattr(other, part)
            changed = [key for key in {**mine, **theirs} if mine.get(key) != theirs.get(key)]
            lines += [f"{part} {key}: {mine.get(key)} → {theirs.get(key)}" for key in changed]
        return "\n".join(lines)


def assert_unchanged(lab: Lab, before: World, deadline_s: float = 8.0) -> None:
    """Domains, files and books are as before at once; the inventory's records have a moment to follow."""
    now = World.of(lab)
    strict = World(now.domains, now.files, now.books, before.records)
    assert not before.difference(strict), before.difference(strict)
    until = time.monotonic() + deadline_s
    while before.difference(now):
        assert time.monotonic() < until, before.difference(now)
        time.sleep(0.1)
        now = World.of(lab)


def domains_of(host: Host) -> dict[tuple[str, str], Any]:
    """Name, state and definition of each domain on a host."""
    connection = libvirt.open(f"qemu+unix:///system?socket={host.file('/run/libvirt/libvirt-sock')}")
    try:
        return {(host.name, domain.UUIDString()): _domain(domain) for domain in connection.listAllDomains()}
    finally:
        connection.close()


def _domain(domain: libvirt.virDomain) -> dict[str, Any]:
    definition = domain.XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE) if domain.isPersistent() else None
    return {"name": domain.name(), "state": domain.state()[0], "definition": definition}


def files_of_guest(host: Host, uuid: str) -> dict[str, int]:
    """Size by name of the files in a guest's directory."""
    directory = host.instances_dir / uuid
    return {path.name: path.stat().st_size for path in directory.iterdir()} if directory.is_dir() else {}


def _files_of(host: Host) -> dict[tuple[str, str], Any]:
    found = {}
    for path in host.instances_dir.rglob("*"):
        inside = path.relative_to(host.instances_dir)
        if inside.parts[0] != "_base":
            found[host.name, str(inside)] = "log" if path.name == LOG else _size(path)
    return found


def _size(path: Path) -> int | str:
    try:
        return "directory" if path.is_dir() else path.stat().st_size
    except FileNotFoundError:
        return "vanished meanwhile"


def _rows(lab: Lab, queries: dict[str, str]) -> dict[str, list[tuple[Any, ...]]]:
    engine = make_engine(DatabaseSettings(url=lab.database_url))
    try:
        with engine.connect() as connection:
            return {name: [tuple(row) for row in connection.execute(text(query))] for name, query in queries.items()}
    finally:
        engine.dispose()
