"""/servers/{id}/migrations: the one in progress, its abort, and its completion by force."""

from __future__ import annotations

from typing import Any

from api.errors import NotFound
from api.microversions import at_least
from api.nova import build_migration
from api.nova.blueprint import route
from api.nova.schemas.migration import ServerMigrationAnswer, ServerMigrationsAnswer
from api.nova.schemas.server_migration_action import FORCE_COMPLETE
from api.nova.versioned import since
from api.pagination import MAX_LIMIT
from lmigrate.db.models import Instance, Migration
from lmigrate.db.session import reading
from lmigrate.db.stores import migrations_view, servers_view
from lmigrate.db.stores.migrations_view import AddressedMigration, MigrationFilter
from lmigrate.errors import AbortTooLate, ForceCompleteRefused, InstanceInvalidState, MigrationNotFound, RequestError
from lmigrate.ids import is_uuid
from lmigrate.migration.abort import request_abort
from lmigrate.migration.force_complete import request_force_complete
from lmigrate.states import ABORTABLE, IN_PROGRESS, MigrationStatus, TaskState, VmState


class InvalidMigrationState(RequestError):
    """Migration {migration} state of instance {instance} is {state}. Cannot {method} while the migration is in this state."""


class MigrationNotFoundForInstance(RequestError):
    """Migration {migration} not found for instance {instance}"""


@route("GET", "/servers/<server_id>/migrations", span=since("2.23"), answer=ServerMigrationsAnswer)
def index(server_id: str) -> ServerMigrationsAnswer:
    """List the migrations of a server that are in progress."""
    with reading() as session:
        servers_view.require(session, server_id)
        wanted = MigrationFilter(instance_uuid=server_id.lower(), statuses=tuple(IN_PROGRESS))
        records = migrations_view.addressed_page(session, wanted, MAX_LIMIT)
    return ServerMigrationsAnswer(migrations=[build_migration.server_migration(record) for record in records])


@route("GET", "/servers/<server_id>/migrations/<migration_id>", span=since("2.23"), answer=ServerMigrationAnswer)
def show(server_id: str, migration_id: str) -> ServerMigrationAnswer:
    """Show a migration that is in progress."""
    if server_id.isdigit() and is_uuid(migration_id):
        # python-openstackclient from 6.6 to 10.5 swaps the two in `server migration show`
        server_id, migration_id = migration_id, server_id
    record = _find(server_id, migration_id)
    if record.migration.status not in IN_PROGRESS:
        raise NotFound(f"Live migration {migration_id} for server {server_id} is not in progress.")
    return ServerMigrationAnswer(migration=build_migration.server_migration(record))


@route("DELETE", "/servers/<server_id>/migrations/<migration_id>", span=since("2.24"), status=202)
def abort(server_id: str, migration_id: str) -> None:
    """Abort a migration that is in progress: the server stays on its source."""
    row = _abortable(server_id, migration_id)
    try:
        request_abort(row.instance_uuid, row.id)
    except AbortTooLate as error:
        raise _refusal(row, str(error.fields.get("status", row.status))) from error


@route("POST", "/servers/<server_id>/migrations/<migration_id>/action", span=since("2.22"), body=FORCE_COMPLETE, status=202)
def force_complete(server_id: str, migration_id: str, body: Any) -> None:
    """Make a running migration come to its end: by post-copy where that is permitted, else by a pause of the server."""
    del body
    row = _completable(server_id, migration_id)
    try:
        request_force_complete(row.instance_uuid, row.id)
    except ForceCompleteRefused as error:
        raise _refusal(row, str(error.fields["status"]), "force_complete") from error


def _completable(server_id: str, migration_id: str) -> Migration:
    """As in Nova, a migration that is not there is the request's fault (400) and not a 404."""
    with reading() as session:
        instance = servers_view.require(session, server_id)
    _require_migrating(instance, "force_complete")
    if instance.vm_state is not VmState.ACTIVE:
        raise InstanceInvalidState(action="force_complete", instance=instance.uuid, attribute="vm_state", state=instance.vm_state.value)
    try:
        row = _find(server_id, migration_id).migration
    except NotFound as error:
        raise MigrationNotFoundForInstance(migration=migration_id, instance=server_id) from error
    if row.status is not MigrationStatus.RUNNING:
        raise _refusal(row, row.status, "force_complete")
    return row


def _require_migrating(instance: Instance, action: str) -> None:
    if instance.task_state is not TaskState.MIGRATING:
        raise InstanceInvalidState(action=action, instance=instance.uuid, attribute="task_state", state=instance.task_state)


def _abortable(server_id: str, migration_id: str) -> Migration:
    with reading() as session:
        instance = servers_view.require(session, server_id)
    _require_migrating(instance, "abort live migration")
    row = _find(server_id, migration_id).migration
    permitted = ABORTABLE if at_least("2.65") else {MigrationStatus.RUNNING}
    if row.status not in permitted:
        raise _refusal(row, row.status)
    return row


def _refusal(row: Migration, state: str, method: str = "abort live migration") -> InvalidMigrationState:
    return InvalidMigrationState(migration=row.id, instance=row.instance_uuid, state=state, method=method)


def _find(server_id: str, migration_id: str) -> AddressedMigration:
    with reading() as session:
        servers_view.require(session, server_id)
        try:
            record = migrations_view.addressed_one(session, migration_id)
        except MigrationNotFound:
            record = None
    if record is None or record.migration.instance_uuid != server_id.lower():
        raise NotFound(f"In-progress live migration {migration_id} is not found for server {server_id}.")
    return record
