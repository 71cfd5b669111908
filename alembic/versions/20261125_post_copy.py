"""force-complete and post-copy

Revision: 0009
Revises: 0008
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = '0009'
down_revision = '0008'

_COLUMNS = ('force_complete_requested_at', 'post_copy_at', 'post_copy_broken_at')


def upgrade() -> None:
    """Apply."""
    with op.batch_alter_table('migrations', schema=None) as batch_op:
        for name in _COLUMNS:
            batch_op.add_column(sa.Column(name, sa.DateTime(timezone=True), nullable=True))
        batch_op.add_column(sa.Column('percent', sa.BigInteger(), nullable=False, server_default='0'))


def downgrade() -> None:
    """Take back."""
    with op.batch_alter_table('migrations', schema=None) as batch_op:
        batch_op.drop_column('percent')
        for name in reversed(_COLUMNS):
            batch_op.drop_column(name)
