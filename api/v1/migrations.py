"""/v1/migrations: the journal, the events and the progress of every move."""

from __future__ import annotations

from api import caller
from api.contract import contract
from api.errors import MarkerNotFound
from api.v1 import build_migration
from api.v1.blueprint import v1
from api.v1.schemas.migrations import MigrationDetail, MigrationQuery, Migrations, MigrationsQuery, Resolution
from lmigrate.db.session import reading
from lmigrate.db.stores import migrations_view
from lmigrate.db.stores.migrations_view import MigrationFilter, MigrationRecord
from lmigrate.errors import MigrationNotFound
from lmigrate.migration.resolve import resolve
from tasks.dispatcher import CeleryDispatcher


@v1.get("/migrations")
@contract(query=MigrationsQuery, answer=Migrations, errors=(404,))
def list_migrations(query: MigrationsQuery) -> Migrations:
    """List migrations, newest first."""
    found = [build_migration.migration(record) for record in _page(query)]
    return Migrations(migrations=found, next_marker=found[-1].uuid if len(found) == query.limit else None)


@v1.get("/migrations/<reference>")
@contract(query=MigrationQuery, answer=MigrationDetail, errors=(404,))
def show_migration(reference: str, query: MigrationQuery) -> MigrationDetail:
    """Show one migration, by id or uuid."""
    with reading() as session:
        found = migrations_view.detail(session, reference)
    return build_migration.migration_detail(found, with_samples=query.samples)


@v1.post("/migrations/<reference>/resolution")
@contract(body=Resolution, answer=MigrationDetail, errors=(404, 409))
def resolve_migration(reference: str, json: Resolution) -> MigrationDetail:
    """Say on which of its two hosts the guest of a held migration runs; lmigrate does the rest."""
    with reading() as session:
        number = migrations_view.find(session, reference).id
    resolve(number, json.running_on, caller.current().user_id, CeleryDispatcher(), fenced=json.fenced)
    with reading() as session:
        return build_migration.migration_detail(migrations_view.detail(session, reference), with_samples=False)


def _page(query: MigrationsQuery) -> list[MigrationRecord]:
    wanted = MigrationFilter(
        instance_uuid=query.server.lower() if query.server else None,
        host=query.host,
        statuses=(query.status,) if query.status else None,
        request_id=query.request_id,
    )
    with reading() as session:
        try:
            return migrations_view.page(session, wanted, query.limit, query.marker)
        except MigrationNotFound as error:
            raise MarkerNotFound(marker=query.marker) from error
