"""first records

Revision: 0001
Revises: 
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = '0001'
down_revision = None


def upgrade() -> None:
    """Apply."""
    op.create_table('domain_sightings',
    sa.Column('host', sa.String(length=63), nullable=False),
    sa.Column('instance_uuid', sa.String(length=36), nullable=False),
    sa.Column('name', sa.String(length=255), nullable=False),
    sa.Column('power_state', sa.String(32), nullable=False),
    sa.Column('reason', sa.String(length=32), nullable=False),
    sa.Column('is_persistent', sa.Boolean(), nullable=False),
    sa.Column('cpu_xml', sa.Text(), nullable=True),
    sa.Column('description', sa.JSON().with_variant(postgresql.JSONB(), 'postgresql'), nullable=False),
    sa.Column('seen_at', sa.DateTime(timezone=True), nullable=False),
    sa.PrimaryKeyConstraint('host', 'instance_uuid', name=op.f('pk_domain_sightings'))
    )
    with op.batch_alter_table('domain_sightings', schema=None) as batch_op:
        batch_op.create_index(batch_op.f('ix_domain_sightings_instance_uuid'), ['instance_uuid'], unique=False)

    op.create_table('hosts',
    sa.Column('id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.Column('uuid', sa.String(length=36), nullable=False),
    sa.Column('service_uuid', sa.String(length=36), nullable=False),
    sa.Column('name', sa.String(length=63), nullable=False),
    sa.Column('hypervisor_type', sa.String(length=32), nullable=False),
    sa.Column('libvirt_version', sa.BigInteger(), nullable=False),
    sa.Column('qemu_version', sa.BigInteger(), nullable=False),
    sa.Column('virt_types', sa.JSON().with_variant(postgresql.JSONB(), 'postgresql'), nullable=False),
    sa.Column('cpu', sa.JSON().with_variant(postgresql.JSONB(), 'postgresql'), nullable=False),
    sa.Column('vcpus', sa.BigInteger(), nullable=False),
    sa.Column('memory_mib', sa.BigInteger(), nullable=False),
    sa.Column('reserved_memory_mib', sa.BigInteger(), nullable=False),
    sa.Column('instances_path', sa.String(length=255), nullable=False),
    sa.Column('disk_total_bytes', sa.BigInteger(), nullable=False),
    sa.Column('disk_free_bytes', sa.BigInteger(), nullable=False),
    sa.Column('migration_address', sa.String(length=255), nullable=False),
    sa.Column('tls_ready', sa.Boolean(), nullable=False),
    sa.Column('tls_reason', sa.Text(), nullable=True),
    sa.Column('enabled', sa.Boolean(), nullable=False),
    sa.Column('disabled_reason', sa.Text(), nullable=True),
    sa.Column('forced_down', sa.Boolean(), nullable=False),
    sa.Column('epoch', sa.String(length=36), nullable=False),
    sa.Column('started_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('last_seen_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('libvirt_ok', sa.Boolean(), nullable=False),
    sa.Column('down_reason', sa.Text(), nullable=True),
    sa.Column('created_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('updated_at', sa.DateTime(timezone=True), nullable=False),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_hosts')),
    sa.UniqueConstraint('name', name=op.f('uq_hosts_name')),
    sa.UniqueConstraint('service_uuid', name=op.f('uq_hosts_service_uuid')),
    sa.UniqueConstraint('uuid', name=op.f('uq_hosts_uuid'))
    )
    op.create_table('instances',
    sa.Column('uuid', sa.String(length=36), nullable=False),
    sa.Column('name', sa.String(length=255), nullable=False),
    sa.Column('host', sa.String(length=63), nullable=True),
    sa.Column('vm_state', sa.String(32), nullable=False),
    sa.Column('power_state', sa.String(32), nullable=False),
    sa.Column('task_state', sa.String(32), nullable=True),
    sa.Column('memory_mib', sa.BigInteger(), nullable=False),
    sa.Column('vcpus', sa.BigInteger(), nullable=False),
    sa.Column('virt_type', sa.String(length=16), nullable=False),
    sa.Column('is_persistent', sa.Boolean(), nullable=False),
    sa.Column('progress', sa.BigInteger(), nullable=False),
    sa.Column('anomaly', sa.Text(), nullable=True),
    sa.Column('launched_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('created_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('updated_at', sa.DateTime(timezone=True), nullable=False),
    sa.PrimaryKeyConstraint('uuid', name=op.f('pk_instances'))
    )
    with op.batch_alter_table('instances', schema=None) as batch_op:
        batch_op.create_index(batch_op.f('ix_instances_host'), ['host'], unique=False)
        batch_op.create_index(batch_op.f('ix_instances_name'), ['name'], unique=False)

    op.create_table('block_device_mappings',
    sa.Column('id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.Column('instance_uuid', sa.String(length=36), nullable=False),
    sa.Column('device_name', sa.String(length=32), nullable=False),
    sa.Column('device_type', sa.String(length=16), nullable=False),
    sa.Column('bus', sa.String(length=16), nullable=True),
    sa.Column('source_type', sa.String(length=16), nullable=False),
    sa.Column('destination_type', sa.String(length=16), nullable=False),
    sa.Column('boot_index', sa.BigInteger(), nullable=True),
    sa.Column('path', sa.Text(), nullable=True),
    sa.Column('format', sa.String(length=16), nullable=True),
    sa.Column('serial', sa.String(length=64), nullable=True),
    sa.Column('is_read_only', sa.Boolean(), nullable=False),
    sa.Column('is_shareable', sa.Boolean(), nullable=False),
    sa.Column('capacity_bytes', sa.BigInteger(), nullable=True),
    sa.Column('allocation_bytes', sa.BigInteger(), nullable=True),
    sa.ForeignKeyConstraint(['instance_uuid'], ['instances.uuid'], name=op.f('fk_block_device_mappings_instance_uuid_instances'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_block_device_mappings')),
    sa.UniqueConstraint('instance_uuid', 'device_name', name=op.f('uq_block_device_mappings_instance_uuid_device_name'))
    )
    with op.batch_alter_table('block_device_mappings', schema=None) as batch_op:
        batch_op.create_index(batch_op.f('ix_block_device_mappings_instance_uuid'), ['instance_uuid'], unique=False)

    op.create_table('migrations',
    sa.Column('id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.Column('uuid', sa.String(length=36), nullable=False),
    sa.Column('instance_uuid', sa.String(length=36), nullable=False),
    sa.Column('request_id', sa.String(length=40), nullable=False),
    sa.Column('user_id', sa.String(length=255), nullable=True),
    sa.Column('project_id', sa.String(length=255), nullable=True),
    sa.Column('requested_destination', sa.String(length=63), nullable=True),
    sa.Column('is_forced', sa.Boolean(), nullable=False),
    sa.Column('block_migration', sa.Boolean(), nullable=True),
    sa.Column('disk_over_commit', sa.Boolean(), nullable=True),
    sa.Column('status', sa.String(32), nullable=False),
    sa.Column('phase', sa.String(32), nullable=False),
    sa.Column('attempt', sa.BigInteger(), nullable=False),
    sa.Column('source_host', sa.String(length=63), nullable=False),
    sa.Column('dest_host', sa.String(length=63), nullable=True),
    sa.Column('power_state_before', sa.String(32), nullable=False),
    sa.Column('observe_round', sa.Integer(), nullable=False),
    sa.Column('refusals', sa.JSON().with_variant(postgresql.JSONB(), 'postgresql'), nullable=False),
    sa.Column('migrate_data', sa.JSON().with_variant(postgresql.JSONB(), 'postgresql'), nullable=False),
    sa.Column('error_code', sa.String(length=64), nullable=True),
    sa.Column('error', sa.Text(), nullable=True),
    sa.Column('fault', sa.String(length=16), nullable=True),
    sa.Column('resolution', sa.String(length=16), nullable=True),
    sa.Column('abort_requested_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('prechecked_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('switched_over_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('dispatched_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('resends', sa.Integer(), nullable=False),
    sa.Column('ended_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('created_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('updated_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('memory_total_bytes', sa.BigInteger(), nullable=False),
    sa.Column('memory_processed_bytes', sa.BigInteger(), nullable=False),
    sa.Column('memory_remaining_bytes', sa.BigInteger(), nullable=False),
    sa.Column('disk_total_bytes', sa.BigInteger(), nullable=False),
    sa.Column('disk_processed_bytes', sa.BigInteger(), nullable=False),
    sa.Column('disk_remaining_bytes', sa.BigInteger(), nullable=False),
    sa.Column('downtime_ms', sa.BigInteger(), nullable=True),
    sa.ForeignKeyConstraint(['instance_uuid'], ['instances.uuid'], name=op.f('fk_migrations_instance_uuid_instances'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_migrations')),
    sa.UniqueConstraint('uuid', name=op.f('uq_migrations_uuid'))
    )
    with op.batch_alter_table('migrations', schema=None) as batch_op:
        batch_op.create_index('ix_migrations_created_at_id', ['created_at', 'id'], unique=False)
        batch_op.create_index(batch_op.f('ix_migrations_dest_host'), ['dest_host'], unique=False)
        batch_op.create_index(batch_op.f('ix_migrations_instance_uuid'), ['instance_uuid'], unique=False)
        batch_op.create_index(batch_op.f('ix_migrations_source_host'), ['source_host'], unique=False)
        batch_op.create_index(batch_op.f('ix_migrations_status'), ['status'], unique=False)
        batch_op.create_index('uq_migrations_active', ['instance_uuid'], unique=True, sqlite_where=sa.text("status NOT IN ('cancelled', 'completed', 'failed')"), postgresql_where=sa.text("status NOT IN ('cancelled', 'completed', 'failed')"))

    op.create_table('instance_actions',
    sa.Column('id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.Column('request_id', sa.String(length=40), nullable=False),
    sa.Column('instance_uuid', sa.String(length=36), nullable=False),
    sa.Column('migration_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=True),
    sa.Column('action', sa.String(length=64), nullable=False),
    sa.Column('user_id', sa.String(length=255), nullable=True),
    sa.Column('project_id', sa.String(length=255), nullable=True),
    sa.Column('message', sa.Text(), nullable=True),
    sa.Column('started_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('finished_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('updated_at', sa.DateTime(timezone=True), nullable=False),
    sa.ForeignKeyConstraint(['instance_uuid'], ['instances.uuid'], name=op.f('fk_instance_actions_instance_uuid_instances'), ondelete='CASCADE'),
    sa.ForeignKeyConstraint(['migration_id'], ['migrations.id'], name=op.f('fk_instance_actions_migration_id_migrations'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_instance_actions'))
    )
    with op.batch_alter_table('instance_actions', schema=None) as batch_op:
        batch_op.create_index(batch_op.f('ix_instance_actions_instance_uuid'), ['instance_uuid'], unique=False)
        batch_op.create_index(batch_op.f('ix_instance_actions_migration_id'), ['migration_id'], unique=False)
        batch_op.create_index(batch_op.f('ix_instance_actions_request_id'), ['request_id'], unique=False)

    op.create_table('migration_steps',
    sa.Column('id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.Column('migration_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.Column('attempt', sa.Integer(), nullable=False),
    sa.Column('position', sa.Integer(), nullable=False),
    sa.Column('name', sa.String(length=32), nullable=False),
    sa.Column('host', sa.String(length=63), nullable=True),
    sa.Column('state', sa.String(32), nullable=False),
    sa.Column('owner', sa.String(length=64), nullable=True),
    sa.Column('epoch', sa.String(length=36), nullable=True),
    sa.Column('tries', sa.Integer(), nullable=False),
    sa.Column('lease_until', sa.DateTime(timezone=True), nullable=True),
    sa.Column('facts', sa.JSON().with_variant(postgresql.JSONB(), 'postgresql'), nullable=True),
    sa.Column('error_code', sa.String(length=64), nullable=True),
    sa.Column('error', sa.Text(), nullable=True),
    sa.Column('ready_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('started_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('finished_at', sa.DateTime(timezone=True), nullable=True),
    sa.ForeignKeyConstraint(['migration_id'], ['migrations.id'], name=op.f('fk_migration_steps_migration_id_migrations'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_migration_steps')),
    sa.UniqueConstraint('migration_id', 'attempt', 'name', name=op.f('uq_migration_steps_migration_id_attempt_name'))
    )
    with op.batch_alter_table('migration_steps', schema=None) as batch_op:
        batch_op.create_index(batch_op.f('ix_migration_steps_migration_id'), ['migration_id'], unique=False)
        batch_op.create_index(batch_op.f('ix_migration_steps_state'), ['state'], unique=False)

    op.create_table('observations',
    sa.Column('migration_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.Column('side', sa.String(length=16), nullable=False),
    sa.Column('round', sa.Integer(), nullable=False),
    sa.Column('host', sa.String(length=63), nullable=False),
    sa.Column('seen', sa.JSON().with_variant(postgresql.JSONB(), 'postgresql'), nullable=False),
    sa.Column('seen_at', sa.DateTime(timezone=True), nullable=False),
    sa.ForeignKeyConstraint(['migration_id'], ['migrations.id'], name=op.f('fk_observations_migration_id_migrations'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('migration_id', 'side', 'round', name=op.f('pk_observations'))
    )
    op.create_table('progress_samples',
    sa.Column('id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.Column('migration_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.Column('at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('elapsed_ms', sa.BigInteger(), nullable=False),
    sa.Column('iteration', sa.BigInteger(), nullable=False),
    sa.Column('memory_total_bytes', sa.BigInteger(), nullable=False),
    sa.Column('memory_processed_bytes', sa.BigInteger(), nullable=False),
    sa.Column('memory_remaining_bytes', sa.BigInteger(), nullable=False),
    sa.Column('disk_total_bytes', sa.BigInteger(), nullable=False),
    sa.Column('disk_processed_bytes', sa.BigInteger(), nullable=False),
    sa.Column('disk_remaining_bytes', sa.BigInteger(), nullable=False),
    sa.Column('dirty_rate_bps', sa.BigInteger(), nullable=False),
    sa.Column('bandwidth_bps', sa.BigInteger(), nullable=False),
    sa.Column('expected_downtime_ms', sa.BigInteger(), nullable=True),
    sa.Column('throttle_percent', sa.BigInteger(), nullable=True),
    sa.ForeignKeyConstraint(['migration_id'], ['migrations.id'], name=op.f('fk_progress_samples_migration_id_migrations'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_progress_samples'))
    )
    with op.batch_alter_table('progress_samples', schema=None) as batch_op:
        batch_op.create_index(batch_op.f('ix_progress_samples_migration_id'), ['migration_id'], unique=False)

    op.create_table('reservations',
    sa.Column('migration_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.Column('host', sa.String(length=63), nullable=False),
    sa.Column('memory_mib', sa.BigInteger(), nullable=False),
    sa.Column('vcpus', sa.BigInteger(), nullable=False),
    sa.Column('disk_bytes', sa.BigInteger(), nullable=False),
    sa.Column('created_at', sa.DateTime(timezone=True), nullable=False),
    sa.ForeignKeyConstraint(['migration_id'], ['migrations.id'], name=op.f('fk_reservations_migration_id_migrations'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('migration_id', name=op.f('pk_reservations'))
    )
    with op.batch_alter_table('reservations', schema=None) as batch_op:
        batch_op.create_index(batch_op.f('ix_reservations_host'), ['host'], unique=False)

    op.create_table('instance_action_events',
    sa.Column('id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.Column('action_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.Column('event', sa.String(length=64), nullable=False),
    sa.Column('host', sa.String(length=63), nullable=True),
    sa.Column('result', sa.String(length=16), nullable=True),
    sa.Column('details', sa.Text(), nullable=True),
    sa.Column('started_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('finished_at', sa.DateTime(timezone=True), nullable=True),
    sa.ForeignKeyConstraint(['action_id'], ['instance_actions.id'], name=op.f('fk_instance_action_events_action_id_instance_actions'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_instance_action_events'))
    )
    with op.batch_alter_table('instance_action_events', schema=None) as batch_op:
        batch_op.create_index(batch_op.f('ix_instance_action_events_action_id'), ['action_id'], unique=False)



def downgrade() -> None:
    """Take back."""
    with op.batch_alter_table('instance_action_events', schema=None) as batch_op:
        batch_op.drop_index(batch_op.f('ix_instance_action_events_action_id'))

    op.drop_table('instance_action_events')
    with op.batch_alter_table('reservations', schema=None) as batch_op:
        batch_op.drop_index(batch_op.f('ix_reservations_host'))

    op.drop_table('reservations')
    with op.batch_alter_table('progress_samples', schema=None) as batch_op:
        batch_op.drop_index(batch_op.f('ix_progress_samples_migration_id'))

    op.drop_table('progress_samples')
    op.drop_table('observations')
    with op.batch_alter_table('migration_steps', schema=None) as batch_op:
        batch_op.drop_index(batch_op.f('ix_migration_steps_state'))
        batch_op.drop_index(batch_op.f('ix_migration_steps_migration_id'))

    op.drop_table('migration_steps')
    with op.batch_alter_table('instance_actions', schema=None) as batch_op:
        batch_op.drop_index(batch_op.f('ix_instance_actions_request_id'))
        batch_op.drop_index(batch_op.f('ix_instance_actions_migration_id'))
        batch_op.drop_index(batch_op.f('ix_instance_actions_instance_uuid'))

    op.drop_table('instance_actions')
    with op.batch_alter_table('migrations', schema=None) as batch_op:
        batch_op.drop_index('uq_migrations_active', sqlite_where=sa.text("status NOT IN ('cancelled', 'completed', 'failed')"), postgresql_where=sa.text("status NOT IN ('cancelled', 'completed', 'failed')"))
        batch_op.drop_index(batch_op.f('ix_migrations_status'))
        batch_op.drop_index(batch_op.f('ix_migrations_source_host'))
        batch_op.drop_index(batch_op.f('ix_migrations_instance_uuid'))
        batch_op.drop_index(batch_op.f('ix_migrations_dest_host'))
        batch_op.drop_index('ix_migrations_created_at_id')

    op.drop_table('migrations')
    with op.batch_alter_table('block_device_mappings', schema=None) as batch_op:
        batch_op.drop_index(batch_op.f('ix_block_device_mappings_instance_uuid'))

    op.drop_table('block_device_mappings')
    with op.batch_alter_table('instances', schema=None) as batch_op:
        batch_op.drop_index(batch_op.f('ix_instances_name'))
        batch_op.drop_index(batch_op.f('ix_instances_host'))

    op.drop_table('instances')
    op.drop_table('hosts')
    with op.batch_alter_table('domain_sightings', schema=None) as batch_op:
        batch_op.drop_index(batch_op.f('ix_domain_sightings_instance_uuid'))

    op.drop_table('domain_sightings')
