"""Reading hosts with what is used of them; and the switches that an operator has."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import func, select
from sqlalchemy.orm import Session, defer

from lmigrate.db.models import Host, Instance, Migration, Reservation
from lmigrate.states import IN_PROGRESS, MIGRATABLE

#: without the documents of some kB that a daemon writes of its host: who shows a thousand hosts shows none of them
BRIEF = (defer(Host.cpu), defer(Host.connector))


@dataclass(frozen=True)
class HostUse:
    """What instances and reservations take of one host."""

    instances: int = 0
    running: int = 0
    memory_mib: int = 0
    vcpus: int = 0
    reserved_memory_mib: int = 0
    reserved_vcpus: int = 0
    outgoing: int = 0
    incoming: int = 0


@dataclass(frozen=True)
class HostRecord:
    """One host and what is used of it."""

    host: Host
    use: HostUse


def page(session: Session, limit: int, marker: Host | None = None, *, name_part: str | None = None, with_cpu: bool = False) -> list[Host]:
    """At most ``limit`` hosts by id, after ``marker``; without ``connector``, and without ``cpu`` unless it is asked for."""
    query = select(Host).order_by(Host.id).limit(limit).options(*(BRIEF[1:] if with_cpu else BRIEF))
    if marker is not None:
        query = query.where(Host.id > marker.id)
    if name_part is not None:
        query = query.where(Host.name.contains(name_part, autoescape=True))
    return list(session.scalars(query))


def all_brief(session: Session) -> list[Host]:
    """Every host by name, without ``cpu`` and ``connector``."""
    return list(session.scalars(select(Host).order_by(Host.name).options(*BRIEF)))


def named_like(session: Session, part: str) -> list[Host]:
    """The hosts with ``part`` in their name, by id, without ``cpu`` and ``connector``."""
    return list(session.scalars(select(Host).where(Host.name.contains(part, autoescape=True)).order_by(Host.id).options(*BRIEF)))


def by_uuid(session: Session, uuid: str) -> Host | None:
    """The host with that libvirt UUID, or None."""
    return session.scalar(select(Host).where(Host.uuid == uuid.lower()))


def by_service_uuid(session: Session, uuid: str) -> Host | None:
    """The host whose compute service has that UUID, or None."""
    return session.scalar(select(Host).where(Host.service_uuid == uuid.lower()))


def by_id(session: Session, row_id: int) -> Host | None:
    """The host with that number, or None."""
    return session.get(Host, row_id)


def switch(session: Session, host: Host, *, enabled: bool, reason: str | None) -> None:
    """Whether the scheduler may choose ``host`` as a destination; guests may leave it either way."""
    host.enabled = enabled
    host.disabled_reason = None if enabled else reason
    session.flush()


def force_down(session: Session, host: Host, *, forced_down: bool) -> None:
    """Whether ``host`` counts as down whatever its daemon says: no destination, and nothing is moved off it."""
    host.forced_down = forced_down
    session.flush()


def with_use(session: Session, hosts: Sequence[Host]) -> list[HostRecord]:
    """``hosts`` with what is used of them: four queries, however many hosts."""
    names = [host.name for host in hosts]
    instances = _instances(session, names)
    reserved = _reserved(session, names)
    outgoing = _moving(session, names, Migration.source_host)
    incoming = _moving(session, names, Migration.dest_host)
    return [
        HostRecord(
            host,
            HostUse(
                *instances.get(host.name, (0, 0, 0, 0)),
                *reserved.get(host.name, (0, 0)),
                outgoing=outgoing.get(host.name, 0),
                incoming=incoming.get(host.name, 0),
            ),
        )
        for host in hosts
    ]


def _instances(session: Session, names: list[str]) -> dict[str, tuple[int, int, int, int]]:
    running = Instance.vm_state.in_(list(MIGRATABLE))
    query = (
        select(
            Instance.host,
            func.count(),
            func.count().filter(running),
            func.coalesce(func.sum(Instance.memory_mib).filter(running), 0),
            func.coalesce(func.sum(Instance.vcpus).filter(running), 0),
        )
        .where(Instance.host.in_(names))
        .group_by(Instance.host)
    )
    return {str(host): (total, run, int(memory), int(vcpus)) for host, total, run, memory, vcpus in session.execute(query)}


def _reserved(session: Session, names: list[str]) -> dict[str, tuple[int, int]]:
    query = (
        select(Reservation.host, func.sum(Reservation.memory_mib), func.sum(Reservation.vcpus))
        .where(Reservation.host.in_(names))
        .group_by(Reservation.host)
    )
    return {host: (int(memory), int(vcpus)) for host, memory, vcpus in session.execute(query)}


def _moving(session: Session, names: list[str], side: object) -> dict[str, int]:
    column = side if side is Migration.source_host else Migration.dest_host
    query = select(column, func.count()).where(column.in_(names), Migration.status.in_(list(IN_PROGRESS))).group_by(column)
    return {str(host): int(count) for host, count in session.execute(query)}
