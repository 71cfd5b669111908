"""What is taken on a host: by guests that run there and by migrations on their way to it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field

from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session

from lmigrate.db.models import DomainSighting, Host, Instance, Migration, Reservation
from lmigrate.states import IN_PROGRESS, TERMINAL, PowerState, VmState

_INACTIVE = [power for power in PowerState if not power.is_active]


@dataclass
class HostUsage:
    """What one host has to carry besides itself."""

    memory_of: dict[str, int] = field(default_factory=dict)  # instance uuid -> MiB; a guest counts once
    reserved_disk_bytes: int = 0
    incoming: int = 0  # migrations in progress towards it

    @property
    def memory_mib(self) -> int:
        """Memory of its guests and of those that are reserved for."""
        return sum(self.memory_of.values())


def of_hosts(session: Session, names: Collection[str], *, except_migration: int | None = None) -> dict[str, HostUsage]:
    """Usage of each named host; what ``except_migration`` itself has reserved is left out."""
    usage: dict[str, HostUsage] = defaultdict(HostUsage, {name: HostUsage() for name in names})
    _add_guests(usage, _running_guests(session, names))
    _add_guests(usage, _guests_in_doubt(session, names))
    _add_reservations(session, usage, names, except_migration)
    _add_incoming(session, usage, names, except_migration)
    return dict(usage)


def lock_hosts(session: Session, names: Collection[str]) -> list[Host]:
    """The named hosts, held against every other reservation until the transaction ends.

    Always in the order of their ids, so that two who lock several cannot wait for each other.
    """
    query = select(Host).where(Host.name.in_(names)).order_by(Host.id)
    return list(session.scalars(query.with_for_update().execution_options(populate_existing=True)))


def reserve(session: Session, migration_id: int, host: str, *, memory_mib: int, vcpus: int, disk_bytes: int) -> None:
    """Write or move the one reservation of a migration.  The caller holds the host's lock."""
    row = session.get(Reservation, migration_id)
    if row is None:
        row = Reservation(migration_id=migration_id)
        session.add(row)
    row.host, row.memory_mib, row.vcpus, row.disk_bytes = host, memory_mib, vcpus, disk_bytes
    session.flush()


def release(session: Session, migration_id: int) -> None:
    """Drop the reservation; none is fine."""
    session.execute(delete(Reservation).where(Reservation.migration_id == migration_id))


def _running_guests(session: Session, names: Collection[str]) -> Iterable[tuple[str, str, int]]:
    query = select(Instance.host, Instance.uuid, Instance.memory_mib)
    query = query.where(Instance.host.in_(names), Instance.power_state.not_in(_INACTIVE), Instance.vm_state != VmState.UNKNOWN)
    return [(host or "", uuid, memory) for host, uuid, memory in session.execute(query)]


def _guests_in_doubt(session: Session, names: Collection[str]) -> Iterable[tuple[str, str, int]]:
    """A guest seen on two hosts takes its memory on both, whatever its record says."""
    query = select(DomainSighting.host, Instance.uuid, Instance.memory_mib).join(Instance, Instance.uuid == DomainSighting.instance_uuid)
    query = query.where(DomainSighting.host.in_(names), DomainSighting.power_state.not_in(_INACTIVE))
    return [(host, uuid, memory) for host, uuid, memory in session.execute(query.where(Instance.vm_state == VmState.UNKNOWN))]


def _add_guests(usage: dict[str, HostUsage], guests: Iterable[tuple[str, str, int]]) -> None:
    for host, uuid, memory_mib in guests:
        usage[host].memory_of[uuid] = memory_mib


def _add_reservations(session: Session, usage: dict[str, HostUsage], names: Collection[str], except_migration: int | None) -> None:
    query = select(Reservation, Migration.instance_uuid).join(Migration, Migration.id == Reservation.migration_id)
    query = query.where(Reservation.host.in_(names), Reservation.migration_id != (except_migration or 0))
    query = query.where(Migration.status.not_in(list(TERMINAL)))  # a worker that lags behind may reserve for one that has ended
    for reservation, uuid in session.execute(query.execution_options(populate_existing=True)):
        usage[reservation.host].memory_of.setdefault(uuid, reservation.memory_mib)
        usage[reservation.host].reserved_disk_bytes += reservation.disk_bytes


def _add_incoming(session: Session, usage: dict[str, HostUsage], names: Collection[str], except_migration: int | None) -> None:
    query = select(Migration.dest_host, func.count()).where(Migration.dest_host.in_(names), Migration.status.in_(list(IN_PROGRESS)))
    for host, count in session.execute(query.where(Migration.id != (except_migration or 0)).group_by(Migration.dest_host)):
        usage[host or ""].incoming = count
