"""Progress of a running copy: the newest numbers on the migration, and a sample for the series."""

from __future__ import annotations

from sqlalchemy import update
from sqlalchemy.orm import Session

from lmigrate.db.models import Instance, Migration, ProgressSample
from lmigrate.states import TaskState
from lmigrate.virt.types import JobStats


def store(session: Session, migration_id: int, instance_uuid: str, stats: JobStats) -> None:
    """Write one sample."""
    amounts = {
        name: getattr(stats, name)
        for name in (
            "memory_total_bytes",
            "memory_processed_bytes",
            "memory_remaining_bytes",
            "disk_total_bytes",
            "disk_processed_bytes",
            "disk_remaining_bytes",
        )
    }
    session.add(
        ProgressSample(
            migration_id=migration_id,
            elapsed_ms=stats.elapsed_ms,
            iteration=stats.iteration,
            dirty_rate_bps=stats.dirty_rate_bps,
            bandwidth_bps=stats.bandwidth_bps,
            expected_downtime_ms=stats.downtime_ms,
            throttle_percent=stats.throttle_percent,
            **amounts,
        ),
    )
    session.execute(update(Migration).where(Migration.id == migration_id).values(**amounts))
    running = update(Instance).where(Instance.uuid == instance_uuid, Instance.task_state == TaskState.MIGRATING)
    session.execute(running.values(progress=stats.percent))
