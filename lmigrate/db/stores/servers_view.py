"""Reading instances with what a page of them shows: disks, host and running migration, in a fixed number of queries."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Select, String, and_, case, false, func, or_, select, type_coerce
from sqlalchemy.orm import Session, load_only

from lmigrate.db.models import BlockDeviceMapping, DomainSighting, Host, Instance, Migration
from lmigrate.db.stores import name_pattern, wishes
from lmigrate.db.stores.paging import in_order, newest_first
from lmigrate.errors import InstanceNotFound
from lmigrate.states import TERMINAL, PowerState, TaskState, VmState

#: what says whether a host is up
_JUDGED = load_only(Host.name, Host.enabled, Host.forced_down, Host.last_seen_at, Host.libvirt_ok, Host.down_reason, raiseload=True)

#: (name of a field, whether it descends), the first to sort by first
Order = tuple[tuple[str, bool], ...]
NEWEST_FIRST: Order = (("created_at", True),)

#: what instances can be sorted by: never NULL, of plain types. By all but the first every instance is read
SORTABLE: dict[str, Any] = {
    "created_at": Instance.created_at,
    "updated_at": Instance.updated_at,
    "launched_at": Instance.launched_at,
    "uuid": Instance.uuid,
    "name": Instance.name,
    "host": func.coalesce(Instance.host, ""),
    "anomaly": func.coalesce(Instance.anomaly, ""),
    "progress": Instance.progress,
    "vm_state": type_coerce(Instance.vm_state, String),
    "task_state": func.coalesce(type_coerce(Instance.task_state, String), ""),
    "power_state": case({state.value: number for number, state in enumerate(PowerState)}, value=type_coerce(Instance.power_state, String)),
}


@dataclass(frozen=True)
class Shown:
    """Instances in one of these states; with a migration, without, or (None) either way."""

    vm_states: tuple[VmState, ...]
    is_migrating: bool | None = None


@dataclass(frozen=True)
class ServerFilter:
    """Which instances; a field left at None asks for nothing."""

    names: tuple[tuple[str, str], ...] = ()  # who asks, and part of the name or a regular expression; all of them
    name_part: str | None = None  # part of the name; ^ and $ anchor it
    host: str | None = None
    node: str | None = None  # part of the host's name, or a regular expression
    uuids: tuple[str, ...] | None = None
    vm_states: tuple[VmState, ...] | None = None
    power_states: tuple[PowerState, ...] | None = None
    is_migrating: bool | None = None
    shown_as: tuple[Shown, ...] | None = None  # any of them
    progress: int | None = None
    size: tuple[int, int] | None = None  # vCPUs, MiB of memory
    has_anomaly: bool | None = None
    anomaly_parts: tuple[str, ...] = ()  # all of them, as they stand
    created_in: tuple[datetime, datetime] | None = None  # from, before
    launched_in: tuple[datetime, datetime] | None = None
    changed_since: datetime | None = None
    changed_before: datetime | None = None


@dataclass(frozen=True)
class ServerRecord:
    """One instance and what is shown with it."""

    instance: Instance
    disks: tuple[BlockDeviceMapping, ...]
    host: Host | None
    migration: Migration | None  # the one that has not ended: its id, and what is asked of it


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


def page(session: Session, wanted: ServerFilter, limit: int, marker: str | None = None, order: Order = NEWEST_FIRST) -> list[ServerRecord]:
    """At most ``limit`` instances in ``order``, after ``marker`` (a uuid).

    Raises:
        InstanceNotFound: there is no instance ``marker``.
    """
    return _with_details(session, list(session.scalars(_page(session, wanted, limit, marker, order))))


def names(
    session: Session, wanted: ServerFilter, limit: int, marker: str | None = None, order: Order = NEWEST_FIRST
) -> list[tuple[str, str]]:
    """The same page, as (uuid, name).

    Raises:
        InstanceNotFound: there is no instance ``marker``.
    """
    query = _page(session, wanted, limit, marker, order).with_only_columns(Instance.uuid, Instance.name)
    return [(uuid, name) for uuid, name in session.execute(query)]


def _page(session: Session, wanted: ServerFilter, limit: int, marker: str | None, order: Order) -> Select[Any]:
    last = None if marker is None else _get(session, marker)
    if order == NEWEST_FIRST:
        after = None if last is None else (last.created_at, last.uuid)
        return newest_first(_filtered(wanted), Instance.created_at, Instance.uuid, after, limit)
    keys = [(SORTABLE[name], is_descending) for name, is_descending in order]
    keys.append((Instance.uuid, keys[-1][1]))
    values = None if last is None else session.execute(select(*(key for key, _ in keys)).where(Instance.uuid == last.uuid)).one()
    return in_order(_filtered(wanted), keys, values, limit)


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
    for field, text in wanted.names:
        query = query.where(name_pattern.matches(Instance.name, text, field))
    if wanted.name_part is not None:
        query = query.where(name_pattern.contains(Instance.name, wanted.name_part))
    if wanted.host is not None:
        query = query.where(Instance.host == wanted.host)
    if wanted.node is not None:
        query = query.where(name_pattern.matches(Instance.host, wanted.node, "node"))
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
        query = query.where(_migrating(is_migrating=wanted.is_migrating))
    if wanted.shown_as is not None:
        query = query.where(or_(*map(_shown, wanted.shown_as)))
    if wanted.progress is not None:
        query = query.where(Instance.progress == wanted.progress)
    return _filtered_by_story(query, wanted)


def _shown(shown: Shown) -> ColumnElement[bool]:
    states = Instance.vm_state.in_(shown.vm_states) if shown.vm_states else false()
    return states if shown.is_migrating is None else and_(states, _migrating(is_migrating=shown.is_migrating))


def _migrating(*, is_migrating: bool) -> ColumnElement[bool]:
    return Instance.task_state == TaskState.MIGRATING if is_migrating else Instance.task_state.is_(None)


def _filtered_by_story(query: Select[Any], wanted: ServerFilter) -> Select[Any]:
    if wanted.has_anomaly is not None:
        query = query.where(Instance.anomaly.is_not(None) if wanted.has_anomaly else Instance.anomaly.is_(None))
    for part in wanted.anomaly_parts:
        query = query.where(Instance.anomaly.contains(part, autoescape=True))
    for moment, span in ((Instance.created_at, wanted.created_in), (Instance.launched_at, wanted.launched_in)):
        if span is not None:
            query = query.where(moment >= span[0], moment < span[1])
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


def _running(session: Session, uuids: list[str]) -> dict[str, Migration]:
    query = select(Migration).where(Migration.instance_uuid.in_(uuids), Migration.status.not_in(list(TERMINAL)))
    shown = load_only(Migration.id, Migration.instance_uuid, *wishes.READ_BY_PENDING)
    return {row.instance_uuid: row for row in session.scalars(query.options(shown))}
