"""hold reasons

Revision: 0005
Revises: 0004
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = '0005'
down_revision = '0004'

JSON = sa.JSON().with_variant(postgresql.JSONB(), 'postgresql')
MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    """Apply."""
    with op.batch_alter_table('migrations', schema=None) as batch_op:
        batch_op.add_column(sa.Column('hold_reason', sa.String(32), nullable=True))
        batch_op.add_column(sa.Column('held_at', MOMENT, nullable=True))
        batch_op.add_column(sa.Column('held_known', JSON, nullable=False, server_default='{}'))
        batch_op.add_column(sa.Column('silent_since', MOMENT, nullable=True))
        batch_op.add_column(sa.Column('fenced_host', sa.String(63), nullable=True))


def downgrade() -> None:
    """Take back."""
    with op.batch_alter_table('migrations', schema=None) as batch_op:
        for name in ('fenced_host', 'silent_since', 'held_known', 'held_at', 'hold_reason'):
            batch_op.drop_column(name)
