"""A request to move a guest: accepted in one transaction, then sent on its way."""

from __future__ import annotations

from dataclasses import dataclass

import structlog

from lmigrate import clock, ids
from lmigrate.db.availability import UNAVAILABLE, kind_of
from lmigrate.db.models import Instance, Migration
from lmigrate.db.session import Session, reading, writing
from lmigrate.db.stores import actions, hosts, migrations
from lmigrate.errors import (
    BrokerUnavailable,
    InstanceInvalidState,
    InstanceNotFound,
    MigrationPreCheckError,
    PrechecksNotEnded,
    UnknownHost,
)
from lmigrate.migration.attempt import plan_journal
from lmigrate.migration.dispatch import Dispatcher, StepMessage
from lmigrate.migration.idleness import ACTION, HELD, why_not_idle
from lmigrate.states import MigrationStatus, Phase

log = structlog.get_logger(__name__)

_POLL_S = 0.05
_POLL_AWAY_S = 0.5


@dataclass(frozen=True)
class LiveMigrationRequest:
    """What `os-migrateLive` asks for."""

    instance_uuid: str
    host: str | None  # the requested destination; None: the scheduler chooses
    block_migration: bool | None  # None: auto
    disk_over_commit: bool | None
    is_forced: bool  # skip the scheduler
    user_id: str | None = None
    project_id: str | None = None
    request_id: str | None = None


def request_live_migration(request: LiveMigrationRequest, dispatcher: Dispatcher) -> int:
    """Accept a request; return the migration's id.

    The row, the journal and the instance's task state are one transaction; the message
    comes after it.  A broker that is away does not lose the request: the row is there,
    and the reconciler sends it.

    Raises:
        InstanceNotFound, UnknownHost, InstanceInvalidState: nothing was changed.
    """
    with writing() as session:
        instance = _instance(session, request)
        _refuse_unknown_host(session, request)
        if not migrations.claim_instance(session, instance.uuid):
            raise _why_refused(session, instance)
        migration, messages = _record(session, request, instance)
        migration_id = migration.id
    try:
        dispatcher.send_steps(messages)
    except BrokerUnavailable as error:
        log.warning("accepted, but the broker is away; the reconciler will send it", migration=migration_id, reason=str(error))
    return migration_id


def wait_for_prechecks(migration_id: int, timeout_s: float) -> None:
    """Wait until the checks are through (API versions before 2.34).

    Raises:
        MigrationPreCheckError: they failed, with the recorded reason.
        PrechecksNotEnded: they took longer than ``timeout_s`` seconds, and the migration goes on (Nova bug 1276214).
    """
    deadline_s = clock.monotonic_s() + timeout_s
    while clock.monotonic_s() < deadline_s:
        migration = _look(migration_id)
        if migration is None:
            clock.sleep_s(_POLL_AWAY_S)
            continue
        if migration.prechecked_at is not None and migration.phase is not Phase.ROLLING_BACK:
            return
        if migration.phase in {Phase.ENDED, Phase.HELD}:
            raise _precheck_error(migration)
        clock.sleep_s(_POLL_S)
    raise PrechecksNotEnded(timeout_s=f"{timeout_s:g}", migration=migration_id)


def _look(migration_id: int) -> Migration | None:
    """The migration, or None while the database is away: the request was accepted, and 503 would say that it was not."""
    try:
        with reading() as session:
            return migrations.get(session, migration_id)
    except UNAVAILABLE as error:
        log.warning("the database is away while a client waits for the checks", migration=migration_id, kind=kind_of(error))
        return None


def _precheck_error(migration: Migration) -> MigrationPreCheckError:
    """The recorded reason, said once: it may be the text of such an error itself."""
    prefix = str(MigrationPreCheckError(reason=""))
    return MigrationPreCheckError(reason=(migration.error or "").removeprefix(prefix))


def _instance(session: Session, request: LiveMigrationRequest) -> Instance:
    instance = session.get(Instance, request.instance_uuid)
    if instance is None:
        raise InstanceNotFound(instance=request.instance_uuid)
    return instance


def _refuse_unknown_host(session: Session, request: LiveMigrationRequest) -> None:
    if request.host is not None and hosts.by_name(session, request.host) is None:
        raise UnknownHost(host=request.host)


def _why_refused(session: Session, instance: Instance) -> InstanceInvalidState:
    """The first reason; none is left if whoever had the guest has just let go of it."""
    session.refresh(instance)
    reasons = why_not_idle(instance)
    return reasons[0] if reasons else InstanceInvalidState(action=ACTION, instance=instance.uuid, attribute="state", state="changing")


def migration_for(request: LiveMigrationRequest, instance: Instance) -> Migration:
    """The row that ``request`` asks for, in no session."""
    return Migration(
        uuid=ids.new_uuid(),
        instance_uuid=instance.uuid,
        request_id=request.request_id or ids.new_request_id(),
        user_id=request.user_id,
        project_id=request.project_id,
        requested_destination=request.host,
        is_forced=request.is_forced,
        block_migration=request.block_migration,
        disk_over_commit=request.disk_over_commit,
        status=MigrationStatus.ACCEPTED,
        phase=Phase.FORWARD,
        attempt=1,
        source_host=instance.host,
        power_state_before=instance.power_state,
        refusals={},
    )


def _record(session: Session, request: LiveMigrationRequest, instance: Instance) -> tuple[Migration, list[StepMessage]]:
    migration = migration_for(request, instance)
    if not migrations.add(session, migration):  # one that was held for an operator is still open
        raise InstanceInvalidState(action=ACTION, instance=instance.uuid, attribute="state", state=HELD)
    actions.begin(session, migration, actions.LIVE_MIGRATION)
    return migration, plan_journal(session, migration)
