"""GET /os-migrations: every migration there ever was."""

from __future__ import annotations

from typing import Any

from api.microversions import at_least
from api.nova import build_migration
from api.nova.blueprint import route
from api.nova.schemas import queries
from api.nova.schemas.migration import MigrationsAnswer
from api.pagination import MarkerNotFound, next_links, page_size
from lmigrate.db.session import reading
from lmigrate.db.stores import migrations_view
from lmigrate.db.stores.migrations_view import AddressedMigration, MigrationFilter
from lmigrate.errors import MigrationNotFound
from lmigrate.states import MigrationStatus

_TYPE = "live-migration"
_STATUSES = {status.value: status for status in MigrationStatus}


@route("GET", "/os-migrations", query=queries.MIGRATIONS, answer=MigrationsAnswer)
def index(query: queries.MigrationsQuery) -> MigrationsAnswer:
    """List migrations, newest first."""
    limit, marker = getattr(query, "limit", None), getattr(query, "marker", None)
    records = _page(_filter(query), page_size(limit), marker)
    links = next_links(len(records), page_size(limit), records[-1].migration.uuid if records else "")
    found = [build_migration.migration(record) for record in records]
    return MigrationsAnswer(migrations=found, migrations_links=links if at_least("2.59") else None)


def _page(wanted: MigrationFilter, size: int, marker: str | None) -> list[AddressedMigration]:
    with reading() as session:
        try:
            return migrations_view.addressed_page(session, wanted, size, marker)
        except MigrationNotFound as error:
            raise MarkerNotFound(marker=f"[{marker}]") from error


def _filter(query: Any) -> MigrationFilter:
    return MigrationFilter(
        host=query.host,
        instance_uuid=query.instance_uuid,
        source_host=query.source_compute,
        statuses=_statuses(query),
        user_id=getattr(query, "user_id", None),
        project_id=getattr(query, "project_id", None),
        changed_since=getattr(query, "changes_since", None),
        changed_before=getattr(query, "changes_before", None),
    )


def _statuses(query: queries.MigrationsQuery) -> tuple[MigrationStatus, ...] | None:
    """None: all.  There is only one type, and none is hidden: asking for others finds nothing."""
    if query.migration_type not in {None, _TYPE} or query.hidden in {"1", "true", "True"}:
        return ()
    if query.status is None:
        return None
    return tuple(_STATUSES[word] for word in [query.status] if word in _STATUSES)
