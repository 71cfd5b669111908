"""The scheduler's two questions: which host would it be, and take it."""

from __future__ import annotations

from lmigrate.config import settings
from lmigrate.db.models import Instance, Migration
from lmigrate.db.session import Session
from lmigrate.db.stores import hosts
from lmigrate.scheduler import reservations
from lmigrate.scheduler.request import RequestSpec
from lmigrate.scheduler.select import Outlook, Verdict, considered, evaluate, no_valid_host, outlooks
from lmigrate.scheduler.snapshot import host_states, request_spec


def select_destination(session: Session, spec: RequestSpec) -> str:
    """The host that would be chosen now; nothing is reserved.

    Raises:
        UnknownHost: the requested host has never registered.
        NoValidHost: with the reason of every host.
    """
    return _passing(session, spec, None).names[0]


def foresee(session: Session, spec: RequestSpec) -> list[Outlook]:
    """What is to be said of every host that would be considered now; nothing is reserved.

    Raises:
        UnknownHost: the requested host has never registered.
    """
    return outlooks(considered(host_states(session, hosts.all_hosts(session)), spec), spec)


def choose_and_reserve(session: Session, migration: Migration, instance: Instance) -> str:
    """Choose the destination of ``migration`` and reserve its memory there, in the caller's writing transaction.

    Hosts are looked at without a lock first; only those that would do are locked, and
    asked again, because another migration may have taken their last memory meanwhile.

    Raises:
        UnknownHost: the requested host has never registered.
        NoValidHost: with the reason of every host, or because too many have refused.
    """
    spec = request_spec(session, migration, instance)
    _refuse_too_many_attempts(spec)
    before = _passing(session, spec, migration.id)
    locked = evaluate(reservations.lock(session, migration, before.names), spec)
    if not locked.candidates:
        raise no_valid_host({**before.refused, **locked.refused}, spec)
    chosen = locked.names[0]
    reservations.write(session, migration, chosen, spec)
    return chosen


def _passing(session: Session, spec: RequestSpec, migration_id: int | None) -> Verdict:
    verdict = evaluate(considered(host_states(session, hosts.all_hosts(session), except_migration=migration_id), spec), spec)
    if not verdict.candidates:
        raise no_valid_host(verdict.refused, spec)
    return verdict


def _refuse_too_many_attempts(spec: RequestSpec) -> None:
    limit = settings().scheduler.max_attempts
    if limit < 0 or len(spec.excluded) <= limit:
        return
    introduction = f"Exceeded max scheduling retries {limit} for instance {spec.instance_uuid} during live migration. "
    raise no_valid_host(spec.excluded, spec, introduction=introduction)
