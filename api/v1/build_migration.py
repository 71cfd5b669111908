"""From a migration's record to ``/v1``."""

from __future__ import annotations

from typing import Any

from api.v1.schemas.migrations import Event, Migration, MigrationDetail, Progress, Sample, Step
from lmigrate.db.stores import migrations_view, wishes
from lmigrate.db.stores.migrations_view import MigrationRecord
from lmigrate.states import MigrationStatus

_FROM_SAMPLE = ("iteration", "bandwidth_bps", "dirty_rate_bps", "expected_downtime_ms", "throttle_percent", "elapsed_ms", "at")
_FROM_ROW = (
    "memory_total_bytes", "memory_processed_bytes", "memory_remaining_bytes",
    "disk_total_bytes", "disk_processed_bytes", "disk_remaining_bytes",
)  # fmt: skip


def migration(record: MigrationRecord) -> Migration:
    """A migration in a list."""
    return Migration(**_common(record))


def migration_detail(found: migrations_view.MigrationDetail, *, with_samples: bool) -> MigrationDetail:
    """A migration with all that was recorded of it."""
    samples = found.samples if with_samples else ()
    return MigrationDetail(
        **_common(found.record),
        steps=[Step(**_same(Step, row)) for row in found.steps],
        events=[Event(**_same(Event, row)) for row in found.events],
        samples=[Sample(**_same(Sample, row)) for row in samples],
    )


def _common(record: MigrationRecord) -> dict[str, Any]:
    row = record.migration
    different = {"instance_name", "progress", "refusals", "pending_request"}
    same = {name: getattr(row, name) for name in Migration.model_fields if name not in different}
    refusals = {host: str(reason) for host, reason in row.refusals.items()}
    made = {"refusals": refusals, "progress": _progress(record), "pending_request": wishes.pending(row)}
    return same | made | {"instance_name": record.instance_name}


def _progress(record: MigrationRecord) -> Progress:
    row, sample = record.migration, record.sample
    measured = {name: getattr(sample, name) if sample else None for name in _FROM_SAMPLE}
    amounts = {name: getattr(row, name) for name in _FROM_ROW}
    if row.status is MigrationStatus.COMPLETED:  # since the last sample the rest was sent
        amounts |= {"memory_remaining_bytes": 0, "disk_remaining_bytes": 0}
    return Progress(percent=_percent(record), **amounts, **measured)


def _percent(record: MigrationRecord) -> int:
    """100 only of what has arrived: a sample may find nothing left, or less than a percent, and the guest write on."""
    row = record.migration
    return 100 if row.status is MigrationStatus.COMPLETED or row.switched_over_at is not None else min(99, row.percent)


def _same(shape: type[Step | Event | Sample], row: object) -> dict[str, Any]:
    return {name: getattr(row, name) for name in shape.model_fields}
