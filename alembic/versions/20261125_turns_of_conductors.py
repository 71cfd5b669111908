"""turns of conductors

Revision: 0011
Revises: 0010
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = '0011'
down_revision = '0010'


def upgrade() -> None:
    """Apply."""
    op.create_table(
        'turns',
        sa.Column('name', sa.String(32), nullable=False),
        sa.Column('owner', sa.String(36), nullable=False),
        sa.Column('until', sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint('name', name=op.f('pk_turns')),
    )


def downgrade() -> None:
    """Take back."""
    op.drop_table('turns')
