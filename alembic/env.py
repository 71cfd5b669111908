"""How alembic reaches the database: the URL of lmigrate's settings, or a connection handed in."""

from __future__ import annotations

from typing import Any, Literal

from alembic import context
from sqlalchemy import Connection

import lmigrate.db.models  # noqa: F401 - importing them fills the metadata
from lmigrate.config import settings
from lmigrate.db.base import Base
from lmigrate.db.session import make_engine
from lmigrate.db.types import EnumValue, UtcDateTime

LONGEST_STATEMENT_S = 3600.0


def render_item(kind: str, item: Any, _context: Any) -> str | Literal[False]:
    """Write plain types into revisions: a revision must not change when our types do."""
    if kind == "type" and isinstance(item, EnumValue):
        return f"sa.String({item.impl.length})"
    if kind == "type" and isinstance(item, UtcDateTime):
        return "sa.DateTime(timezone=True)"
    return False


def include_name(name: str | None, _kind: str, _parents: Any) -> bool:
    """Leave out what only PostgreSQL has and no model can say."""
    return name != "ix_instances_name_trigrams"


def run(connection: Connection) -> None:
    """Run the asked-for revisions over ``connection``."""
    context.configure(
        connection=connection,
        target_metadata=Base.metadata,
        render_as_batch=connection.dialect.name == "sqlite",
        compare_type=True,
        render_item=render_item,
        include_name=include_name,
    )
    with context.begin_transaction():
        context.run_migrations()


handed_in = context.config.attributes.get("connection")
if handed_in is not None:
    run(handed_in)
else:
    # a statement of a revision goes through a whole table, which no statement of a daemon does
    engine = make_engine(settings().database.model_copy(update={"statement_timeout_s": LONGEST_STATEMENT_S}), settings().tls)
    try:
        with engine.connect().execution_options(lmigrate_write=True) as connection:
            run(connection)
            connection.commit()
    finally:
        engine.dispose()
