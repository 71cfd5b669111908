"""Rows of a migration's story: steps, samples, actions, events."""

from __future__ import annotations

from typing import Any

from lmigrate.db.clock import utcnow
from lmigrate.db.models import InstanceAction, InstanceActionEvent, Migration, MigrationStep, ProgressSample
from lmigrate.states import StepState

MIB = 1024**2


def step_row(migration: Migration, position: int, name: str, **fields: Any) -> MigrationStep:
    """A step that is done."""
    values: dict[str, Any] = {"attempt": 1, "state": StepState.DONE, "host": migration.source_host, "tries": 1, **fields}
    return MigrationStep(migration_id=migration.id, position=position, name=name, **values)


def sample_row(migration: Migration, remaining_mib: int, **fields: Any) -> ProgressSample:
    """1 GiB of memory on its way."""
    values: dict[str, Any] = {
        "at": utcnow(),
        "elapsed_ms": 2000,
        "iteration": 3,
        "memory_total_bytes": 1024 * MIB,
        "memory_processed_bytes": (1024 - remaining_mib) * MIB,
        "memory_remaining_bytes": remaining_mib * MIB,
        "disk_total_bytes": 0,
        "disk_processed_bytes": 0,
        "disk_remaining_bytes": 0,
        "dirty_rate_bps": 8 * MIB,
        "bandwidth_bps": 100 * MIB,
        "expected_downtime_ms": 80,
        "throttle_percent": None,
        **fields,
    }
    return ProgressSample(migration_id=migration.id, **values)


def action_row(migration: Migration, **fields: Any) -> InstanceAction:
    """The request that began ``migration``."""
    values: dict[str, Any] = {
        "request_id": migration.request_id,
        "migration_id": migration.id,
        "action": "live-migration",
        "user_id": "admin",
        "project_id": "admin",
        **fields,
    }
    return InstanceAction(instance_uuid=migration.instance_uuid, **values)


def event_row(action: InstanceAction, event: str, **fields: Any) -> InstanceActionEvent:
    """A part of it that went well."""
    now = utcnow()
    values: dict[str, Any] = {"result": "Success", "details": "done", "started_at": now, "finished_at": now, **fields}
    return InstanceActionEvent(action_id=action.id, event=event, **values)
