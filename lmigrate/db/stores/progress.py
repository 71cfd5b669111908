"""Progress of a running copy: the newest numbers on the migration, and a sample for the series."""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy import update
from sqlalchemy.orm import Session

from lmigrate.db.models import Instance, Migration, ProgressSample
from lmigrate.states import TaskState

#: what the migration's own row keeps of the newest sample
_AMOUNTS = (
    "memory_total_bytes",
    "memory_processed_bytes",
    "memory_remaining_bytes",
    "disk_total_bytes",
    "disk_processed_bytes",
    "disk_remaining_bytes",
)


def store(session: Session, migration_id: int, instance_uuid: str, sample: Mapping[str, int | None], *, percent: int) -> None:
    """Write one sample (ProgressSample's columns by name), and the share that is done (0-100) on both.

    A guest that writes makes work anew, and the switch to post-copy discards some of what was sent: the share never goes back all the same.
    """
    session.add(ProgressSample(migration_id=migration_id, **sample))
    amounts = {name: sample[name] for name in _AMOUNTS}
    session.execute(update(Migration).where(Migration.id == migration_id).values(**amounts))
    running = update(Instance).where(Instance.uuid == instance_uuid, Instance.task_state == TaskState.MIGRATING)
    session.execute(running.where(Instance.progress < percent).values(progress=percent))
    session.execute(update(Migration).where(Migration.id == migration_id, Migration.percent < percent).values(percent=percent))
