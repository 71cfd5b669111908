"""Memory and disk that a migration holds on its destination, so that two do not both take the last of a host."""

from __future__ import annotations

from lmigrate.db.models import Migration
from lmigrate.db.session import Session
from lmigrate.db.stores import usage
from lmigrate.errors import InsufficientMemory, UnknownHost
from lmigrate.scheduler.filters.ram import ram
from lmigrate.scheduler.host_state import HostState
from lmigrate.scheduler.request import RequestSpec
from lmigrate.scheduler.snapshot import host_states


def reserve(session: Session, migration: Migration, host: str, spec: RequestSpec) -> None:
    """Reserve for ``spec`` on ``host``, in the caller's writing transaction; twice is once.

    Raises:
        UnknownHost: there is no such host.
        InsufficientMemory: what was free before the lock is not any more.
    """
    found = lock(session, migration, [host])
    if not found:
        raise UnknownHost(host=host)
    if (reason := ram(found[0], spec)) is not None:
        raise InsufficientMemory(reason)
    write(session, migration, host, spec)


def lock(session: Session, migration: Migration, names: list[str]) -> list[HostState]:
    """The named hosts as they are now; nobody else can reserve on them until the transaction ends."""
    return host_states(session, usage.lock_hosts(session, names), except_migration=migration.id)


def write(session: Session, migration: Migration, host: str, spec: RequestSpec) -> None:
    """Write the reservation.  The caller holds ``lock`` on the host."""
    usage.reserve(session, migration.id, host, memory_mib=spec.memory_mib, vcpus=spec.vcpus, disk_bytes=spec.disk_bytes)


def release(session: Session, migration: Migration) -> None:
    """Give back what ``migration`` holds; nothing is fine."""
    usage.release(session, migration.id)
