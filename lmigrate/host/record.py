"""From evidence to the columns of an instance and its disks.  Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from lmigrate.db.models import DomainSighting, Instance
from lmigrate.db.stores.instances import Evidence
from lmigrate.host.reconcile import Sighted, Standing, Viewpoint, reconcile, runs_on
from lmigrate.host.sighting import NOTE, disk_values


@dataclass(frozen=True)
class Wanted:
    """What the records should say about one guest."""

    columns: Mapping[str, Any]
    disks: list[dict[str, Any]] | None = None  # None: leave them as they are

    def differs_from(self, evidence: Evidence) -> bool:
        """Whether there is anything to write."""
        instance = evidence.instance
        if instance is None or any(getattr(instance, name) != value for name, value in self.columns.items()):
            return True
        if self.disks is None:
            return False
        present = {row.device_name: row for row in evidence.disks}
        if set(present) != {disk["device_name"] for disk in self.disks}:
            return True
        return any(getattr(present[disk["device_name"]], name) != value for disk in self.disks for name, value in disk.items())


def wanted(evidence: Evidence, viewpoint: Viewpoint, live_hosts: Mapping[str, bool]) -> Wanted | None:
    """What should be written, or None while there is nothing to make a record of.

    ``live_hosts`` has every registered host and whether it is up; sightings of others are of hosts that were removed.
    """
    known = _standing(evidence.instance)
    standing = reconcile(_sighted(evidence, live_hosts), known, viewpoint)
    if standing is None:
        return None
    if standing.task_state is not None:
        return Wanted({"power_state": standing.power_state})
    columns = {"host": standing.host, "vm_state": standing.vm_state, "power_state": standing.power_state, "anomaly": standing.anomaly}
    describing = _describing(evidence, standing)
    if describing is None:
        return Wanted(columns) if evidence.instance is not None else None
    return Wanted({**columns, **_description(describing)}, [disk_values(disk) for disk in describing.description["disks"]])


def note_on(sighting: DomainSighting, evidence: Evidence, viewpoint: Viewpoint, live_hosts: Mapping[str, bool]) -> str | None:
    """What is remarkable about this copy: a definition that is left where the guest does not run."""
    running_on = runs_on(_sighted(evidence, live_hosts), viewpoint)
    if sighting.power_state.is_active or running_on in {None, sighting.host}:
        return None
    return f"an inactive definition; the guest runs on {running_on}"


def with_note(description: Mapping[str, Any], note: str | None) -> dict[str, Any]:
    """The description with this note, or without one."""
    bare = {name: value for name, value in description.items() if name != NOTE}
    return bare if note is None else {**bare, NOTE: note}


def viewpoint_of(host: str, evidence: Evidence, **looked: Any) -> Viewpoint:
    """The point of view of ``host``'s daemon on this guest."""
    return Viewpoint(host=host, moved_at=evidence.moved_at, moved_to=evidence.moved_to, **looked)


def own_and_seen(own: Collection[str], seen: Collection[str]) -> list[str]:
    """Guests that concern a host: recorded there or seen there; in one order everywhere, so that locks cannot cross."""
    return sorted({*own, *seen})


def _standing(instance: Instance | None) -> Standing | None:
    if instance is None:
        return None
    return Standing(instance.host, instance.vm_state, instance.power_state, instance.anomaly, instance.task_state)


def _sighted(evidence: Evidence, live_hosts: Mapping[str, bool]) -> list[Sighted]:
    return [
        Sighted(row.host, row.power_state, row.reason, row.seen_at, live_hosts[row.host])
        for row in evidence.sightings
        if row.host in live_hosts
    ]


def _describing(evidence: Evidence, standing: Standing) -> DomainSighting | None:
    """The sighting whose memory, disks and so on are the guest's: that of its host; any, as long as there is no host."""
    rows = evidence.sightings
    return next((row for row in rows if row.host == standing.host), rows[0] if rows and standing.host is None else None)


def _description(row: DomainSighting) -> dict[str, Any]:
    described = row.description
    return {
        "name": row.name,
        "is_persistent": row.is_persistent,
        "memory_mib": described["memory_mib"],
        "vcpus": described["vcpus"],
        "virt_type": described["virt_type"][:16],
    }
