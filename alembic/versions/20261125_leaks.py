"""leaks

Revision: 0008
Revises: 0007
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = '0008'
down_revision = '0007'


def upgrade() -> None:
    """Apply."""
    op.create_table('leaks',
    sa.Column('id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.Column('place', sa.String(63), nullable=False),
    sa.Column('kind', sa.String(32), nullable=False),
    sa.Column('subject', sa.String(1024), nullable=False),
    sa.Column('reason', sa.Text(), nullable=False),
    sa.Column('migration_id', sa.BigInteger(), nullable=True),
    sa.Column('instance_uuid', sa.String(36), nullable=True),
    sa.Column('first_seen_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('last_seen_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('removed_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('done', sa.Text(), nullable=True),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_leaks')),
    sa.UniqueConstraint('place', 'kind', 'subject', name=op.f('uq_leaks_place_kind_subject')),
    )
    op.create_index(op.f('ix_leaks_last_seen_at'), 'leaks', ['last_seen_at'])


def downgrade() -> None:
    """Take back."""
    op.drop_index(op.f('ix_leaks_last_seen_at'), table_name='leaks')
    op.drop_table('leaks')
