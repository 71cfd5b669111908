"""Reading instances with what a page of them shows: disks, host and running migration, in a fixed number of queries."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Select, false, func, select
from sqlalchemy.orm import Session, load_only

from lmigrate.db.models import BlockDeviceMapping, DomainSighting, Host, Instance, Migration
from lmigrate.db.stores import name_pattern
from lmigrate.db.stores.paging import newest_first
from lmigrate.errors import InstanceNotFound
from lmigrate.states import TERMINAL, PowerState, TaskState, VmState

#: what says whether a host is up
_JUDGED = load_only(Host.name, Host.enabled, Host.forced_down, Host.last_seen_at, Host.libvirt_ok, Host.down_reason, raiseload=True)


@dataclass(frozen=True)
class ServerFilter:
    """Which instances; a field left at None asks for nothing."""

    name: str | None = None  # part of the name, or a regular expression
    name_part: str | None = None  # part of the name; ^ and $ anchor it
    host: str | None = None
    uuids: tuple[str, ...] | None = None
    vm_states: tuple[VmState, ...] | None = None
    power_states: tuple[PowerState, ...] | None = None
    is_migrating: bool | None = None
    size: tuple[int, int] | None = None  # vCPUs, MiB of memory
    has_anomaly: bool | None = None
    changed_since: datetime | None = None
    changed_before: datetime | None = None


@dataclass(frozen=True)
class ServerRecord:
    """One instance and what is shown with it."""

    instance: Instance
    disks: tuple[BlockDeviceMapping, ...]
    host: Host | None
    migration_id: int | None  # of the one that has not ended


@dataclass(frozen=True)
class Totals:
    """All instances added up."""

    instances: int
    vcpus: int
    memory_mib: int


def totals(session: Session) -> Totals:
    """All instances added up."""
    query = select(func.count(), func.coalesce(func.sum(Instance.vcpus), 0), func.coalesce(func.sum(Instance.memory_mib), 0))
    count, vcpus, memory_mib = session.execute(query.select_from(Instance)).one()
    return Totals(count, int(vcpus), int(memory_mib))


def page(session: Session, wanted: ServerFilter, limit: int, marker: str | None = None) -> list[ServerRecord]:
    """At most ``limit`` instances, newest first, after ``marker`` (a uuid).

    Raises:
        InstanceNotFound: there is no instance ``marker``.
    """
    return _with_details(session, list(session.scalars(_page(session, wanted, limit, marker))))


def names(session: Session, wanted: ServerFilter, limit: int, marker: str | None = None) -> list[tuple[str, str]]:
    """The same page, as (uuid, name).

    Raises:
        InstanceNotFound: there is no instance ``marker``.
    """
    query = _page(session, wanted, limit, marker).with_only_columns(Instance.uuid, Instance.name)
    return [(uuid, name) for uuid, name in session.execute(query)]


def _page(session: Session, wanted: ServerFilter, limit: int, marker: str | None) -> Select[Any]:
    after = None
    if marker is not None:
        last = _get(session, marker)
        after = (last.created_at, last.uuid)
    return newest_first(_filtered(wanted), Instance.created_at, Instance.uuid, after, limit)


def one(session: Session, uuid: str) -> ServerRecord:
    """One instance.

    Raises:
        InstanceNotFound: there is none.
    """
    return _with_details(session, [_get(session, uuid)])[0]


def require(session: Session, uuid: str) -> Instance:
    """The bare instance.

    Raises:
        InstanceNotFound: there is none.
    """
    return _get(session, uuid)


def sightings(session: Session, uuid: str) -> list[DomainSighting]:
    """What each host's libvirt last said of the domain."""
    query = select(DomainSighting).where(DomainSighting.instance_uuid == uuid).order_by(DomainSighting.host)
    return list(session.scalars(query))


def names_by_host(session: Session, hosts: Iterable[str]) -> dict[str, list[tuple[str, str]]]:
    """(uuid, name) of the instances on each of ``hosts``."""
    query = select(Instance.host, Instance.uuid, Instance.name).where(Instance.host.in_(list(hosts))).order_by(Instance.name)
    found: dict[str, list[tuple[str, str]]] = defaultdict(list)
    for host, uuid, name in session.execute(query):
        found[str(host)].append((uuid, name))
    return found


def _get(session: Session, uuid: str) -> Instance:
    found = session.get(Instance, uuid.lower())
    if found is None:
        raise InstanceNotFound(instance=uuid)
    return found


def _filtered(wanted: ServerFilter) -> Select[Any]:
    query = select(Instance)
    if wanted.name is not None:
        query = query.where(name_pattern.matches(Instance.name, wanted.name))
    if wanted.name_part is not None:
        query = query.where(name_pattern.contains(Instance.name, wanted.name_part))
    if wanted.host is not None:
        query = query.where(Instance.host == wanted.host)
    if wanted.uuids is not None:
        query = query.where(Instance.uuid.in_(wanted.uuids) if wanted.uuids else false())
    if wanted.vm_states is not None:
        query = query.where(Instance.vm_state.in_(wanted.vm_states) if wanted.vm_states else false())
    return _filtered_more(query, wanted)


def _filtered_more(query: Select[Any], wanted: ServerFilter) -> Select[Any]:
    if wanted.power_states is not None:
        query = query.where(Instance.power_state.in_(wanted.power_states) if wanted.power_states else false())
    if wanted.size is not None:
        query = query.where(Instance.vcpus == wanted.size[0], Instance.memory_mib == wanted.size[1])
    if wanted.is_migrating is not None:
        migrating = Instance.task_state == TaskState.MIGRATING
        query = query.where(migrating if wanted.is_migrating else Instance.task_state.is_(None))
    if wanted.has_anomaly is not None:
        query = query.where(Instance.anomaly.is_not(None) if wanted.has_anomaly else Instance.anomaly.is_(None))
    if wanted.changed_since is not None:
        query = query.where(Instance.updated_at >= wanted.changed_since)
    if wanted.changed_before is not None:
        query = query.where(Instance.updated_at <= wanted.changed_before)
    return query


def _with_details(session: Session, instances: Sequence[Instance]) -> list[ServerRecord]:
    if not instances:
        return []
    uuids = [instance.uuid for instance in instances]
    disks = _disks(session, uuids)
    hosts = _hosts(session, {instance.host for instance in instances if instance.host})
    running = _running(session, uuids)
    return [ServerRecord(one, tuple(disks[one.uuid]), hosts.get(one.host or ""), running.get(one.uuid)) for one in instances]


def _disks(session: Session, uuids: list[str]) -> dict[str, list[BlockDeviceMapping]]:
    query = select(BlockDeviceMapping).where(BlockDeviceMapping.instance_uuid.in_(uuids)).order_by(BlockDeviceMapping.device_name)
    found: dict[str, list[BlockDeviceMapping]] = defaultdict(list)
    for disk in session.scalars(query):
        found[disk.instance_uuid].append(disk)
    return found


def _hosts(session: Session, names: set[str]) -> dict[str, Host]:
    query = select(Host).where(Host.name.in_(names)).options(_JUDGED)
    return {host.name: host for host in session.scalars(query)} if names else {}


def _running(session: Session, uuids: list[str]) -> dict[str, int]:
    query = select(Migration.instance_uuid, Migration.id)
    query = query.where(Migration.instance_uuid.in_(uuids), Migration.status.not_in(list(TERMINAL)))
    return dict(session.execute(query).all())
