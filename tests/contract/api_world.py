"""A small, fixed world for the API: the same ids and moments in every run, on every database."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from lmigrate.db.models import ApiToken, AuditEvent, Host, Instance, Migration, Volume, VolumeAttachment
from lmigrate.db.session import writing
from lmigrate.states import AttachmentState, MigrationStatus, Phase, PowerState, Role, StepState, VmState
from tests.factories.journal import MIB, action_row, event_row, sample_row, step_row
from tests.factories.records import disk_row, host_row, instance_row, migration_row, sighting_row

START = datetime(2026, 1, 1, 12, tzinfo=UTC)
#: so long that the hosts of the world, last heard of at START, are up
SETTINGS = {
    "LMIGRATE_SCHEDULER__SERVICE_DOWN_TIME_S": "1e12",
    "LMIGRATE_MIGRATION__SYNC_PRECHECK_TIMEOUT_S": "0.1",
    "LMIGRATE_STORAGE__BACKENDS": '{"san1": {"driver": "iscsi-tgt", "portal": "192.0.2.10", "directory": "/srv/san1"}}',
}

MOVING = "11111111-1111-4111-8111-111111111111"
IDLE = "22222222-2222-4222-8222-222222222222"
STOPPED = "33333333-3333-4333-8333-333333333333"
NODE5 = "55555555-5555-4555-8555-555555555555"
VOLUME = "88888888-8888-4888-8888-888888888888"
ATTACHMENT = "99999999-9999-4999-8999-999999999999"
TOKEN = "aaaaaaaa-1111-4111-8111-aaaaaaaaaaaa"
REQUEST = "req-77777777-7777-4777-8777-777777777777"


def at(minutes: float) -> datetime:
    """So many minutes after the world began."""
    return START + timedelta(minutes=minutes)


def populate() -> None:
    """Two hosts, three guests, a volume, one migration that runs and one that failed."""
    add(_host("node5", NODE5), _host("node6", NODE5.replace("5", "6"), enabled=False, disabled_reason="new memory"))
    moving = guest(MOVING, "web1", 1, progress=75)
    idle = guest(IDLE, "db1", 2, memory_mib=2048, vcpus=2)
    stopped = guest(STOPPED, "old", 3, host="node6", vm_state=VmState.STOPPED, power_state=PowerState.SHUTOFF)
    failed = migration(idle, 4, MigrationStatus.FAILED, error_code="NoValidHost", error="No valid host was found. node6: it is disabled")
    idle.task_state = None
    running = migration(moving, 5, MigrationStatus.RUNNING, request_id=REQUEST, requested_destination="node6")
    add(moving, idle, stopped, failed, running)
    add(disk_row(moving, "vda"), disk_row(idle, "vda"), disk_row(idle, "vdb", destination_type="volume", serial="vol-1", path=None))
    add(sighting_row("node5", moving, seen_at=at(5)), sighting_row("node5", idle, seen_at=at(5)))
    _story(running)
    _volume(idle)
    _access()


def _story(migration: Migration) -> None:
    names = ["select_destination", "check_destination", "check_source", "pre_live_migration", "migrate"]
    for position, name in enumerate(names):
        state = StepState.RUNNING if name == "migrate" else StepState.DONE
        add(step_row(migration, position, name, state=state, started_at=at(5), finished_at=None if name == "migrate" else at(5.01)))
    add(sample_row(migration, 512, at=at(5.1)), sample_row(migration, 256, at=at(5.2)))
    action = action_row(migration, started_at=at(5), updated_at=at(5))
    add(action)
    for event, host in [("conductor_live_migrate_instance", None), ("compute_check_can_live_migrate_destination", "node6")]:
        add(event_row(action, event, host=host, started_at=at(5), finished_at=at(5.01)))


def _access() -> None:
    """A token, and what was done with it."""
    token = ApiToken(uuid=TOKEN, name="ann", role=Role.OPERATOR, digest="0" * 64, created_by="the command line", created_at=at(0))
    token.last_used_at, token.last_used_from = at(5), "192.0.2.7"
    path = f"/v2.1/servers/{MOVING}/action"
    details = {"host": "node6", "block_migration": "auto"}
    told = {"method": "POST", "path": path, "operation": "nova.os-migrateLive", "details": details, "status": 202}
    add(token, AuditEvent(at=at(5), request_id=REQUEST, user_id="ann", token_uuid=TOKEN, role=Role.OPERATOR, address="192.0.2.7", **told))


def _volume(user: Instance) -> None:
    """A registered volume; the guest uses it through the attachment of its host."""
    moments = {"created_at": at(6), "updated_at": at(6)}
    name = "iqn.2026-11.org.example:db1/1"
    volume = Volume(uuid=VOLUME, name="db1-data", backend="san1", source_name=name, location={}, size_bytes=1024 * MIB, created_at=at(6))
    row = VolumeAttachment(uuid=ATTACHMENT, volume_uuid=VOLUME, instance_uuid=user.uuid, host="node5", connector={}, **moments)
    row.state = AttachmentState.GRANTED
    ours = {"volume_uuid": VOLUME, "attachment_uuid": ATTACHMENT, "source_name": name, "protocol": "iscsi", "path": None}
    add(volume, row, disk_row(user, "vdc", source_type="network", destination_type="volume", format="raw", **ours))


def _host(name: str, uuid: str, **fields: object) -> Host:
    service = uuid[:-1] + "0"
    return host_row(name, uuid=uuid, service_uuid=service, epoch=uuid, last_seen_at=START, started_at=START, created_at=START, **fields)


def guest(uuid: str, name: str, minute: int, host: str = "node5", **fields: object) -> Instance:
    """One that was made so many minutes after the world began."""
    moments = {"created_at": at(minute), "launched_at": at(minute), "updated_at": at(minute)}
    return instance_row(host, uuid=uuid, name=name, **moments, **fields)


def migration(moved: Instance, minute: int, status: MigrationStatus, **fields: object) -> Migration:
    """One of ``moved`` to node6."""
    row = migration_row(moved, status=status, created_at=at(minute), updated_at=at(minute), dest_host="node6", **fields)
    row.uuid = f"{minute}" * 8 + "-aaaa-4aaa-8aaa-aaaaaaaaaaaa"
    row.user_id = row.project_id = "admin"
    row.request_id = str(fields.get("request_id", REQUEST.replace("7", str(minute))))
    row.memory_total_bytes, row.memory_processed_bytes, row.memory_remaining_bytes = 1024 * MIB, 768 * MIB, 256 * MIB
    row.percent = 75
    row.phase = Phase.ENDED if status is MigrationStatus.FAILED else Phase.FORWARD
    return row


def add(*rows: object) -> None:
    """Write rows down, in this order."""
    with writing() as session:
        for row in rows:
            session.add(row)
            session.flush()
