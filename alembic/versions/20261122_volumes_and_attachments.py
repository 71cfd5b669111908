"""volumes and attachments

Revision: 0002
Revises: 0001
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = '0002'
down_revision = '0001'


def upgrade() -> None:
    """Apply."""
    op.create_table('volumes',
    sa.Column('uuid', sa.String(length=36), nullable=False),
    sa.Column('name', sa.String(length=255), nullable=False),
    sa.Column('backend', sa.String(length=63), nullable=False),
    sa.Column('source_name', sa.String(length=255), nullable=False),
    sa.Column('location', sa.JSON().with_variant(postgresql.JSONB(), 'postgresql'), nullable=False),
    sa.Column('size_bytes', sa.BigInteger(), nullable=False),
    sa.Column('is_shareable', sa.Boolean(), nullable=False),
    sa.Column('created_at', sa.DateTime(timezone=True), nullable=False),
    sa.PrimaryKeyConstraint('uuid', name=op.f('pk_volumes')),
    sa.UniqueConstraint('backend', 'source_name', name=op.f('uq_volumes_backend_source_name'))
    )
    with op.batch_alter_table('volumes', schema=None) as batch_op:
        batch_op.create_index(batch_op.f('ix_volumes_backend'), ['backend'], unique=False)
        batch_op.create_index(batch_op.f('ix_volumes_name'), ['name'], unique=False)

    op.create_table('volume_attachments',
    sa.Column('uuid', sa.String(length=36), nullable=False),
    sa.Column('volume_uuid', sa.String(length=36), nullable=False),
    sa.Column('instance_uuid', sa.String(length=36), nullable=False),
    sa.Column('host', sa.String(length=63), nullable=False),
    sa.Column('migration_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=True),
    sa.Column('state', sa.String(32), nullable=False),
    sa.Column('connector', sa.JSON().with_variant(postgresql.JSONB(), 'postgresql'), nullable=False),
    sa.Column('connection_info', sa.Text(), nullable=True),
    sa.Column('created_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('updated_at', sa.DateTime(timezone=True), nullable=False),
    sa.ForeignKeyConstraint(['migration_id'], ['migrations.id'], name=op.f('fk_volume_attachments_migration_id_migrations'), ondelete='SET NULL'),
    sa.ForeignKeyConstraint(['volume_uuid'], ['volumes.uuid'], name=op.f('fk_volume_attachments_volume_uuid_volumes')),
    sa.PrimaryKeyConstraint('uuid', name=op.f('pk_volume_attachments')),
    sa.UniqueConstraint('volume_uuid', 'host', 'instance_uuid', name=op.f('uq_volume_attachments_volume_uuid_host_instance_uuid'))
    )
    with op.batch_alter_table('volume_attachments', schema=None) as batch_op:
        batch_op.create_index(batch_op.f('ix_volume_attachments_host'), ['host'], unique=False)
        batch_op.create_index(batch_op.f('ix_volume_attachments_instance_uuid'), ['instance_uuid'], unique=False)
        batch_op.create_index(batch_op.f('ix_volume_attachments_migration_id'), ['migration_id'], unique=False)
        batch_op.create_index(batch_op.f('ix_volume_attachments_volume_uuid'), ['volume_uuid'], unique=False)

    with op.batch_alter_table('block_device_mappings', schema=None) as batch_op:
        batch_op.add_column(sa.Column('protocol', sa.String(length=16), nullable=True))
        batch_op.add_column(sa.Column('source_name', sa.String(length=255), nullable=True))
        batch_op.add_column(sa.Column('volume_uuid', sa.String(length=36), nullable=True))
        batch_op.add_column(sa.Column('attachment_uuid', sa.String(length=36), nullable=True))
        batch_op.create_index(batch_op.f('ix_block_device_mappings_volume_uuid'), ['volume_uuid'], unique=False)
        batch_op.create_foreign_key(batch_op.f('fk_block_device_mappings_volume_uuid_volumes'), 'volumes', ['volume_uuid'], ['uuid'])

    with op.batch_alter_table('hosts', schema=None) as batch_op:
        batch_op.add_column(
            sa.Column('connector', sa.JSON().with_variant(postgresql.JSONB(), 'postgresql'), nullable=False, server_default=sa.text("'{}'"))
        )



def downgrade() -> None:
    """Take back."""
    with op.batch_alter_table('hosts', schema=None) as batch_op:
        batch_op.drop_column('connector')

    with op.batch_alter_table('block_device_mappings', schema=None) as batch_op:
        batch_op.drop_constraint(batch_op.f('fk_block_device_mappings_volume_uuid_volumes'), type_='foreignkey')
        batch_op.drop_index(batch_op.f('ix_block_device_mappings_volume_uuid'))
        batch_op.drop_column('attachment_uuid')
        batch_op.drop_column('volume_uuid')
        batch_op.drop_column('source_name')
        batch_op.drop_column('protocol')

    with op.batch_alter_table('volume_attachments', schema=None) as batch_op:
        batch_op.drop_index(batch_op.f('ix_volume_attachments_volume_uuid'))
        batch_op.drop_index(batch_op.f('ix_volume_attachments_migration_id'))
        batch_op.drop_index(batch_op.f('ix_volume_attachments_instance_uuid'))
        batch_op.drop_index(batch_op.f('ix_volume_attachments_host'))

    op.drop_table('volume_attachments')
    with op.batch_alter_table('volumes', schema=None) as batch_op:
        batch_op.drop_index(batch_op.f('ix_volumes_name'))
        batch_op.drop_index(batch_op.f('ix_volumes_backend'))

    op.drop_table('volumes')
