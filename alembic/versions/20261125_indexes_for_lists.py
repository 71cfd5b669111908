"""indexes for lists

Revision: 0006
Revises: 0005
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = '0006'
down_revision = '0005'

PLAIN = {
    'instances': [
        ('created_at', 'uuid'),
        ('vm_state', 'created_at', 'uuid'),
        ('power_state', 'created_at', 'uuid'),
        ('vcpus', 'memory_mib', 'created_at', 'uuid'),
        ('updated_at',),
    ],
    'migrations': [
        ('user_id', 'created_at', 'id'),
        ('project_id', 'created_at', 'id'),
        ('request_id',),
        ('updated_at',),
    ],
}
PARTIAL = {'ix_instances_busy': 'task_state IS NOT NULL', 'ix_instances_anomalous': 'anomaly IS NOT NULL'}


def name(table: str, columns: tuple[str, ...]) -> str:
    return f"ix_{table}_{'_'.join(columns)}"


def upgrade() -> None:
    """Apply."""
    for table, indexes in PLAIN.items():
        for columns in indexes:
            op.create_index(name(table, columns), table, list(columns))
    for index, condition in PARTIAL.items():
        where = sa.text(condition)
        op.create_index(index, 'instances', ['created_at', 'uuid'], sqlite_where=where, postgresql_where=where)
    if op.get_bind().dialect.name == 'postgresql':
        # Parts of names and regular expressions. The extension comes with PostgreSQL, and whoever owns the database may create it.
        op.execute('CREATE EXTENSION IF NOT EXISTS pg_trgm')
        op.execute('CREATE INDEX ix_instances_name_trigrams ON instances USING gin (name gin_trgm_ops)')


def downgrade() -> None:
    """Take back; the extension may be used by others."""
    if op.get_bind().dialect.name == 'postgresql':
        op.drop_index('ix_instances_name_trigrams', 'instances')
    for index in PARTIAL:
        op.drop_index(index, 'instances')
    for table, indexes in PLAIN.items():
        for columns in indexes:
            op.drop_index(name(table, columns), table)
