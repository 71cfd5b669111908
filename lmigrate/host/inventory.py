"""Keeps the records of the guests true to what libvirt has: after an event for one guest, now and then for all."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import datetime
from typing import Any

import structlog

from lmigrate.db.clock import utcnow
from lmigrate.db.models import DomainSighting, Instance
from lmigrate.db.session import Session, reading, writing
from lmigrate.db.stores import disks, hosts, instances, sightings, volumes
from lmigrate.db.stores.instances import Evidence
from lmigrate.host.record import Wanted, note_on, own_and_seen, viewpoint_of, wanted, with_note
from lmigrate.host.sighting import is_same, sighting_of
from lmigrate.virt.protocol import Hypervisor
from lmigrate.virt.types import DomainInfo

log = structlog.get_logger(__name__)


class Inventory:
    """The guests of one host.  Not for two threads at once."""

    def __init__(self, host: str, hypervisor: Hypervisor, service_down_time_s: float) -> None:
        self._host = host
        self._hypervisor = hypervisor
        self._service_down_time_s = service_down_time_s

    def compare_all(self) -> None:
        """Ask libvirt for every domain and make sightings and instances agree with the answer."""
        looked_at = utcnow()
        infos = {info.uuid: info for info in self._hypervisor.domains()}
        with writing() as session:
            known = sightings.of_host(session, self._host)
            self._record(session, infos, known, looked_at)
        with reading() as session:
            recorded = instances.uuids_on(session, self._host)
        self._derive(own_and_seen(recorded, {*infos, *known}), looked_at)

    def refresh(self, uuids: Iterable[str]) -> None:
        """The same for a few guests."""
        for uuid in sorted(uuids):
            looked_at = utcnow()
            info = self._hypervisor.domain(uuid)
            with writing() as session:
                row = sightings.get(session, self._host, uuid)
                self._record(session, {uuid: info} if info else {}, {uuid: row} if row else {}, looked_at)
            self._derive([uuid], looked_at)

    def busy(self) -> set[str]:
        """Guests of this host that a migration works on: their records wait until it has ended."""
        with reading() as session:
            seen = sightings.of_host(session, self._host)
            return instances.busy(session, {*seen, *instances.uuids_on(session, self._host)})

    def _record(self, session: Session, infos: dict[str, DomainInfo], known: dict[str, DomainSighting], looked_at: datetime) -> None:
        """Sightings of ``infos``; those of ``known`` that are not among them have vanished."""
        rows = {uuid: sighting_of(self._host, info, looked_at, known.get(uuid)) for uuid, info in infos.items()}
        same = [uuid for uuid, row in rows.items() if uuid in known and is_same(row, known[uuid])]
        sightings.confirm(session, self._host, same, looked_at)
        sightings.put(session, (row for uuid, row in rows.items() if uuid not in same))
        gone = set(known) - set(infos)
        sightings.drop(session, self._host, gone)
        for uuid in gone:
            log.info("a domain is gone", instance=uuid, name=known[uuid].name)

    def _derive(self, uuids: Collection[str], looked_at: datetime) -> None:
        """Write the records of those guests whose evidence says something else."""
        with reading() as session:
            live_hosts = self._live_hosts(session)
            evidence = instances.gather(session, uuids)
        for uuid in uuids:
            if not self._is_settled(evidence[uuid], looked_at, live_hosts):
                self._write_one(uuid, looked_at)

    def _is_settled(self, evidence: Evidence, looked_at: datetime, live_hosts: dict[str, bool]) -> bool:
        target = wanted(evidence, viewpoint_of(self._host, evidence, looked_at=looked_at), live_hosts)
        return (target is None or not target.differs_from(evidence)) and not self._notes(evidence, looked_at, live_hosts)

    def _write_one(self, uuid: str, looked_at: datetime) -> None:
        try:
            with writing() as session:
                self._write(session, uuid, looked_at)
        except Exception:
            # One guest that cannot be recorded must not hide the others.
            log.exception("the record of a guest could not be written", instance=uuid)

    def _write(self, session: Session, uuid: str, looked_at: datetime) -> None:
        """Decide again under the instance's lock: it may have been taken by a migration meanwhile."""
        instances.lock(session, uuid)
        live_hosts = self._live_hosts(session)
        evidence = instances.gather(session, [uuid])[uuid]
        for row, description in self._notes(evidence, looked_at, live_hosts):
            row.description = description
        target = wanted(evidence, viewpoint_of(self._host, evidence, looked_at=looked_at), live_hosts)
        if target is None or not target.differs_from(evidence):
            return
        if evidence.instance is None and not instances.add(session, uuid, target.columns):
            return
        if evidence.instance is not None:
            _tell(evidence.instance, target)
            _set(evidence.instance, target)
        if target.disks is not None:
            disks.replace(session, uuid, target.disks)
            volumes.link_disks(session, uuid)

    def _notes(self, evidence: Evidence, looked_at: datetime, live_hosts: dict[str, bool]) -> list[tuple[DomainSighting, dict[str, Any]]]:
        """Own sightings whose note has to change, with the new description."""
        viewpoint = viewpoint_of(self._host, evidence, looked_at=looked_at)
        own = [row for row in evidence.sightings if row.host == self._host]
        pairs = [(row, with_note(row.description, note_on(row, evidence, viewpoint, live_hosts))) for row in own]
        return [(row, description) for row, description in pairs if row.description != description]

    def _live_hosts(self, session: Session) -> dict[str, bool]:
        now = utcnow()
        return {row.name: hosts.why_down(row, now, self._service_down_time_s) is None for row in hosts.all_hosts(session)}


def _set(instance: Instance, target: Wanted) -> None:
    for name, value in target.columns.items():
        if getattr(instance, name) != value:
            setattr(instance, name, value)


def _tell(instance: Instance, target: Wanted) -> None:
    names = ("host", "vm_state", "anomaly")
    changed = {name: target.columns[name] for name in names if name in target.columns and target.columns[name] != getattr(instance, name)}
    if changed.get("anomaly"):
        log.warning("a guest is not where it should be", instance=instance.uuid, **changed)
    elif changed:
        log.info("a guest has changed", instance=instance.uuid, **changed)
