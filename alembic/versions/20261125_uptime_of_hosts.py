"""uptime of hosts

Revision: 0004
Revises: 0003
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = '0004'
down_revision = '0003'


def upgrade() -> None:
    """Apply."""
    with op.batch_alter_table('hosts', schema=None) as batch_op:
        batch_op.add_column(sa.Column('uptime', sa.String(length=128), nullable=True))


def downgrade() -> None:
    """Take back."""
    with op.batch_alter_table('hosts', schema=None) as batch_op:
        batch_op.drop_column('uptime')
