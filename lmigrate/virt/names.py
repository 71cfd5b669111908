"""libvirt's numbers by name: states, reasons, job types."""

from __future__ import annotations

import libvirt

from lmigrate.states import PowerState
from lmigrate.virt.types import JobType

POWER_STATES = {
    libvirt.VIR_DOMAIN_NOSTATE: PowerState.NOSTATE,
    libvirt.VIR_DOMAIN_RUNNING: PowerState.RUNNING,
    libvirt.VIR_DOMAIN_BLOCKED: PowerState.BLOCKED,
    libvirt.VIR_DOMAIN_PAUSED: PowerState.PAUSED,
    libvirt.VIR_DOMAIN_SHUTDOWN: PowerState.SHUTDOWN,
    libvirt.VIR_DOMAIN_SHUTOFF: PowerState.SHUTOFF,
    libvirt.VIR_DOMAIN_CRASHED: PowerState.CRASHED,
    libvirt.VIR_DOMAIN_PMSUSPENDED: PowerState.PMSUSPENDED,
}

_REASON_PREFIX = {
    PowerState.NOSTATE: "VIR_DOMAIN_NOSTATE_",
    PowerState.RUNNING: "VIR_DOMAIN_RUNNING_",
    PowerState.BLOCKED: "VIR_DOMAIN_BLOCKED_",
    PowerState.PAUSED: "VIR_DOMAIN_PAUSED_",
    PowerState.SHUTDOWN: "VIR_DOMAIN_SHUTDOWN_",
    PowerState.SHUTOFF: "VIR_DOMAIN_SHUTOFF_",
    PowerState.CRASHED: "VIR_DOMAIN_CRASHED_",
    PowerState.PMSUSPENDED: "VIR_DOMAIN_PMSUSPENDED_",
}

JOB_TYPES = {
    libvirt.VIR_DOMAIN_JOB_NONE: JobType.NONE,
    libvirt.VIR_DOMAIN_JOB_BOUNDED: JobType.BOUNDED,
    libvirt.VIR_DOMAIN_JOB_UNBOUNDED: JobType.UNBOUNDED,
    libvirt.VIR_DOMAIN_JOB_COMPLETED: JobType.COMPLETED,
    libvirt.VIR_DOMAIN_JOB_FAILED: JobType.FAILED,
    libvirt.VIR_DOMAIN_JOB_CANCELLED: JobType.CANCELLED,
}

_OPERATION_PREFIX = "VIR_DOMAIN_JOB_OPERATION_"


def _by_value(prefix: str) -> dict[int, str]:
    names = {name: getattr(libvirt, name) for name in dir(libvirt) if name.startswith(prefix) and not name.endswith("_LAST")}
    return {value: name.removeprefix(prefix).lower().replace("_", "-") for name, value in names.items() if isinstance(value, int)}


_REASONS = {state: _by_value(prefix) for state, prefix in _REASON_PREFIX.items()}
_OPERATIONS = _by_value(_OPERATION_PREFIX)


def power_state(number: int) -> PowerState:
    """PowerState for a virDomainState."""
    return POWER_STATES.get(number, PowerState.NOSTATE)


def reason(state: PowerState, number: int) -> str:
    """Name of a reason for ``state``: (paused, 2) → "migration"."""
    return _REASONS[state].get(number, str(number))


def operation(number: int) -> str:
    """Name of a virDomainJobOperation: "migration-out"."""
    return _OPERATIONS.get(number, str(number))
