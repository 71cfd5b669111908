"""indexes for filters

Revision: 0010
Revises: 0009
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = '0010'
down_revision = '0009'

#: what a list is filtered by, then its order: a page ends after its rows, whatever else there is
ADDED = {
    'migrations': [('status', 'created_at', 'id')],
    'audit_events': [('user_id', 'at', 'id'), ('operation', 'at', 'id')],
    'volumes': [('created_at', 'uuid'), ('backend', 'created_at', 'uuid')],
}
PARTIAL = {'ix_audit_events_refused': 'status >= 400', 'ix_audit_events_done': 'status < 400 OR status IS NULL'}
#: each is the beginning of one that was added
REMOVED = {'migrations': 'status', 'audit_events': 'user_id', 'volumes': 'backend'}


def name(table: str, columns: tuple[str, ...]) -> str:
    return f"ix_{table}_{'_'.join(columns)}"


def upgrade() -> None:
    """Apply."""
    for table, indexes in ADDED.items():
        for columns in indexes:
            op.create_index(name(table, columns), table, list(columns))
    for index, condition in PARTIAL.items():
        where = sa.text(condition)
        op.create_index(index, 'audit_events', ['at', 'id'], sqlite_where=where, postgresql_where=where)
    for table, column in REMOVED.items():
        op.drop_index(name(table, (column,)), table)


def downgrade() -> None:
    """Take back."""
    for table, column in REMOVED.items():
        op.create_index(name(table, (column,)), table, [column])
    for index in PARTIAL:
        op.drop_index(index, 'audit_events')
    for table, indexes in ADDED.items():
        for columns in indexes:
            op.drop_index(name(table, columns), table)
