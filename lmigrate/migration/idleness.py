"""Why a guest cannot be claimed for a migration, by its record.  Pure."""

from __future__ import annotations

from lmigrate.db.models import Instance
from lmigrate.errors import InstanceInvalidState
from lmigrate.states import MIGRATABLE

ACTION = "os-migrateLive"
HELD = "held by an earlier migration"


def why_not_idle(instance: Instance) -> list[InstanceInvalidState]:
    """Everything that `migrations.claim_instance` would stumble over; the first is what a request is refused with."""
    found = []
    if instance.task_state is not None:
        found.append(("task_state", instance.task_state.value))
    if instance.vm_state not in MIGRATABLE:
        found.append(("vm_state", instance.vm_state.value))
    if instance.anomaly is not None or instance.host is None:
        found.append(("state", instance.anomaly or "unknown (it is on no host)"))
    return [InstanceInvalidState(action=ACTION, instance=instance.uuid, attribute=attribute, state=state) for attribute, state in found]
