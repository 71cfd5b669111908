-- A large fleet in PostgreSQL: see fleet.py. The numbers come as parameters; statements end with a semicolon and an empty line.

CREATE FUNCTION pg_temp.id(kind integer, number bigint) RETURNS text LANGUAGE sql IMMUTABLE
AS $$ SELECT kind || '0000000-0000-4000-8000-' || lpad(to_hex(number), 12, '0') $$;

CREATE FUNCTION pg_temp.host(number bigint) RETURNS text LANGUAGE sql IMMUTABLE
AS $$ SELECT 'node' || lpad(number::text, 4, '0') $$;

CREATE FUNCTION pg_temp.words(part text, amount integer) RETURNS jsonb LANGUAGE sql IMMUTABLE
AS $$ SELECT jsonb_agg(part || n) FROM generate_series(1, amount) AS n $$;

CREATE FUNCTION pg_temp.cpu() RETURNS jsonb LANGUAGE sql IMMUTABLE -- as long as a server's: features, models, the XML
AS $$ SELECT jsonb_build_object('arch', 'x86_64', 'model', 'Skylake-Client', 'vendor', 'Intel', 'features', pg_temp.words('feature', 60),
    'usable_models', pg_temp.words('Processor-Model-', 80), 'xml', repeat('<feature policy="require" name="feature"/>', 60)) $$;

INSERT INTO hosts (id, uuid, service_uuid, name, hypervisor_type, libvirt_version, qemu_version, virt_types, cpu, vcpus, memory_mib,
    reserved_memory_mib, instances_path, disk_total_bytes, disk_free_bytes, migration_address, connector, tls_ready, enabled, forced_down,
    epoch, started_at, last_seen_at, libvirt_ok, uptime, created_at, updated_at)
SELECT n, pg_temp.id(4, n), pg_temp.id(5, n), pg_temp.host(n), 'QEMU', 9000000, 7002000, '["kvm", "qemu"]',
    pg_temp.cpu(), 32, 131072, 2048, '/srv/guests',
    1000000000000, 500000000000, pg_temp.host(n), '{}', true, n % 50 <> 0, false, pg_temp.id(6, n), now(), now(), true,
    ' 08:32:11 up 93 days, 18:25,  12 users,  load average: 0.20, 0.12, 0.14', now() - interval '1 year', now()
FROM generate_series(1, :hosts) AS n;

INSERT INTO instances (uuid, name, host, vm_state, power_state, task_state, memory_mib, vcpus, virt_type, is_persistent, progress, launched_at,
    created_at, updated_at)
SELECT pg_temp.id(1, n), 'guest-' || n, pg_temp.host(n % :hosts + 1), CASE WHEN n % 10 = 0 THEN 'stopped' ELSE 'active' END,
    CASE WHEN n % 10 = 0 THEN 'shutoff' ELSE 'running' END, NULL, 2048, 2, 'kvm', true, 0, now(), now() - n * interval '1 minute',
    now() - n * interval '1 minute'
FROM generate_series(1, :instances) AS n;

INSERT INTO block_device_mappings (instance_uuid, device_name, device_type, bus, source_type, destination_type, path, format, is_read_only,
    is_shareable, capacity_bytes, allocation_bytes)
SELECT pg_temp.id(1, n), device, 'disk', 'virtio', 'file', 'local', '/srv/guests/' || n || device, 'qcow2', false, false,
    10737418240, 1073741824
FROM generate_series(1, :instances) AS n, unnest(ARRAY['vda', 'vdb']) AS device;

INSERT INTO domain_sightings (host, instance_uuid, name, power_state, reason, is_persistent, cpu_xml, description, seen_at)
SELECT host, uuid, name, power_state, 'booted', true, repeat('<feature policy="require" name="feature"/>', 20),
    '{"memory_mib": 2048, "vcpus": 2, "virt_type": "kvm", "disks": [{"device": "vda"}, {"device": "vdb"}]}', now()
FROM instances;

INSERT INTO volumes (uuid, name, backend, source_name, location, size_bytes, is_shareable, state, created_at)
SELECT pg_temp.id(7, n), 'volume-' || n, 'san' || n % 3, 'volume-' || n, '{"target": "iqn", "lun": 1}', 10737418240, false, 'available',
    now() - n * interval '1 minute'
FROM generate_series(10, :instances, 10) AS n;

INSERT INTO block_device_mappings (instance_uuid, device_name, device_type, bus, source_type, destination_type, protocol, source_name,
    is_read_only, is_shareable, volume_uuid, attachment_uuid, capacity_bytes)
SELECT pg_temp.id(1, n), 'vdc', 'disk', 'virtio', 'network', 'volume', 'iscsi', 'volume-' || n, false, false, pg_temp.id(7, n),
    pg_temp.id(8, n), 10737418240
FROM generate_series(10, :instances, 10) AS n;

INSERT INTO volume_attachments (uuid, volume_uuid, instance_uuid, host, state, connector, created_at, updated_at)
SELECT pg_temp.id(8, n), pg_temp.id(7, n), pg_temp.id(1, n), pg_temp.host(n % :hosts + 1), 'granted', '{}', now(), now()
FROM generate_series(10, :instances, 10) AS n;

INSERT INTO migrations (id, uuid, instance_uuid, request_id, user_id, project_id, is_forced, status, phase, attempt, source_host, dest_host,
    power_state_before, observe_round, refusals, migrate_data, resends, ended_at, created_at, updated_at, memory_total_bytes,
    memory_processed_bytes, memory_remaining_bytes, disk_total_bytes, disk_processed_bytes, disk_remaining_bytes)
SELECT n, pg_temp.id(2, n), pg_temp.id(1, n % :instances + 1), 'req-' || pg_temp.id(3, n),
    'admin', 'admin', false, CASE WHEN n > :migrations - :running THEN 'running' WHEN n % 20 = 0 THEN 'failed' WHEN n % 33 = 0 THEN 'cancelled' ELSE 'completed' END, CASE WHEN n > :migrations - :running THEN 'forward' ELSE 'ended' END, 1, pg_temp.host(n % :hosts + 1),
    pg_temp.host((n + 7) % :hosts + 1), 'running', 0, '{}', '{"disks": []}', 0, now() - (:migrations - n) * interval '1 minute',
    now() - (:migrations - n) * interval '1 minute', now() - (:migrations - n) * interval '1 minute', 2147483648, 2147483648, 0, 0, 0, 0
FROM generate_series(1, :migrations) AS n;

UPDATE instances SET task_state = 'migrating' WHERE uuid IN (SELECT instance_uuid FROM migrations WHERE status = 'running');

INSERT INTO progress_samples (migration_id, at, elapsed_ms, iteration, memory_total_bytes, memory_processed_bytes, memory_remaining_bytes,
    disk_total_bytes, disk_processed_bytes, disk_remaining_bytes, dirty_rate_bps, bandwidth_bps)
SELECT n, now(), 1000 * part, part, 2147483648, 2147483648, 0, 0, 0, 0, 1000000, 100000000
FROM generate_series(:migrations - :stories + 1, :migrations) AS n, generate_series(1, 3) AS part;

INSERT INTO instance_actions (id, request_id, instance_uuid, migration_id, action, user_id, project_id, started_at, finished_at, updated_at)
SELECT n, 'req-' || pg_temp.id(3, n), pg_temp.id(1, n % :instances + 1), n, 'live-migration', 'admin',
    'admin', now() - (:migrations - n) * interval '1 minute', now(), now() - (:migrations - n) * interval '1 minute'
FROM generate_series(1, :migrations) AS n;

INSERT INTO instance_action_events (action_id, event, host, result, details, started_at, finished_at)
SELECT n, 'compute_live_migration', pg_temp.host(n % :hosts + 1), 'Success', 'done', now(), now()
FROM generate_series(:migrations - :stories + 1, :migrations) AS n, generate_series(1, 5);

INSERT INTO migration_steps (migration_id, attempt, position, name, state, tries)
SELECT n, 1, part, 'step' || part, 'done', 1
FROM generate_series(:migrations - :stories + 1, :migrations) AS n, generate_series(0, 9) AS part;

INSERT INTO audit_events (at, request_id, user_id, role, address, method, path, operation, details, status)
SELECT now() - (:migrations - n) * interval '1 minute', 'req-' || pg_temp.id(3, n), 'operator' || n % 500, 'operator', '192.0.2.1', 'POST',
    '/v2.1/servers/' || pg_temp.id(1, n % :instances + 1) || '/action', CASE WHEN n % 100 = 0 THEN 'nova.services_update'
    ELSE 'nova.os-migrateLive' END, '{"host": null, "block_migration": "auto"}', CASE WHEN n % 50 = 0 THEN 409 ELSE 202 END
FROM generate_series(1, :migrations) AS n;

SELECT setval(pg_get_serial_sequence('hosts', 'id'), max(id)) FROM hosts;

SELECT setval(pg_get_serial_sequence('migrations', 'id'), max(id)) FROM migrations;

SELECT setval(pg_get_serial_sequence('instance_actions', 'id'), max(id)) FROM instance_actions;
