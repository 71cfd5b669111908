"""How Nova's wire says in which state a server is."""

from __future__ import annotations

from lmigrate.db.models import Host, Instance
from lmigrate.db.stores.servers_view import Shown
from lmigrate.states import MIGRATABLE, PowerState, TaskState, VmState

_STATUS = {
    VmState.ACTIVE: "ACTIVE",
    VmState.PAUSED: "PAUSED",
    VmState.STOPPED: "SHUTOFF",
    VmState.SUSPENDED: "SUSPENDED",
    VmState.ERROR: "ERROR",
    VmState.UNKNOWN: "UNKNOWN",
}

#: of which a server of Nova's can be; most never are here
KNOWN_STATUSES = frozenset(_STATUS.values()) | {
    *("BUILD", "DELETED", "HARD_REBOOT", "MIGRATING", "PASSWORD", "REBOOT", "REBUILD", "RESCUE", "RESIZE"),
    *("REVERT_RESIZE", "SHELVED", "SHELVED_OFFLOADED", "SOFT_DELETED", "VERIFY_RESIZE"),
}

_POWER = {
    PowerState.NOSTATE: 0,
    PowerState.RUNNING: 1,
    PowerState.BLOCKED: 1,
    PowerState.PAUSED: 3,
    PowerState.SHUTDOWN: 1,  # the guest is still closing down
    PowerState.SHUTOFF: 4,
    PowerState.CRASHED: 6,
    PowerState.PMSUSPENDED: 7,
}


def server_status(instance: Instance) -> str:
    """ACTIVE, MIGRATING, …"""
    if instance.task_state is TaskState.MIGRATING and instance.vm_state in MIGRATABLE:
        return "MIGRATING"
    return _STATUS[instance.vm_state]


def power_state(instance: Instance) -> int:
    """Nova's number."""
    return _POWER[instance.power_state]


def with_status(name: str) -> Shown:
    """The states for a status of the wire; a word that Nova does not know finds nothing."""
    wanted = name.upper()
    if wanted == "MIGRATING":
        return Shown(tuple(MIGRATABLE), is_migrating=True)
    states = tuple(state for state, status in _STATUS.items() if status == wanted)
    shown_as_migrating = bool(set(states) & MIGRATABLE)
    return Shown(states, is_migrating=False if shown_as_migrating else None)


def with_power_state(number: str) -> tuple[PowerState, ...]:
    """The power states that Nova gives that number."""
    return tuple(state for state, nova in _POWER.items() if str(nova) == number)


def host_status(host: Host | None, down_reason: str | None) -> str:
    """UP, DOWN, MAINTENANCE (switched off for new guests) or UNKNOWN."""
    if host is None:
        return "UNKNOWN"
    if down_reason is not None:
        return "DOWN"
    return "UP" if host.enabled else "MAINTENANCE"
