"""registration of volumes

Revision: 0003
Revises: 0002
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = '0003'
down_revision = '0002'


def upgrade() -> None:
    """Apply."""
    with op.batch_alter_table('volumes', schema=None) as batch_op:
        batch_op.add_column(sa.Column('state', sa.String(32), nullable=False, server_default='available'))
        batch_op.add_column(sa.Column('error', sa.Text(), nullable=True))


def downgrade() -> None:
    """Take back."""
    with op.batch_alter_table('volumes', schema=None) as batch_op:
        batch_op.drop_column('error')
        batch_op.drop_column('state')
