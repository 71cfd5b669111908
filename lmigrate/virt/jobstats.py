"""virDomainGetJobStats' dictionary as JobStats.  Pure."""

from __future__ import annotations

from typing import Any

from lmigrate.virt.types import JobStats, JobType


def from_libvirt(fields: dict[str, Any], job_type: JobType, operation: str | None) -> JobStats:
    """Map libvirt's typed parameters (VIR_DOMAIN_JOB_*) to JobStats; absent ones are zero."""

    def number(key: str) -> int:
        return int(fields.get(key, 0))

    downtime = fields.get("downtime")
    throttle = fields.get("auto_converge_throttle")
    return JobStats(
        type=job_type,
        operation=operation,
        elapsed_ms=number("time_elapsed"),
        iteration=number("memory_iteration"),
        memory_total_bytes=number("memory_total"),
        memory_processed_bytes=number("memory_processed"),
        memory_remaining_bytes=number("memory_remaining"),
        disk_total_bytes=number("disk_total"),
        disk_processed_bytes=number("disk_processed"),
        disk_remaining_bytes=number("disk_remaining"),
        dirty_rate_bps=number("memory_dirty_rate") * number("memory_page_size"),
        bandwidth_bps=number("memory_bps") + number("disk_bps"),
        downtime_ms=None if downtime is None else int(downtime),
        throttle_percent=None if throttle is None else int(throttle),
    )
