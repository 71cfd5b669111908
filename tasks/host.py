"""Tasks of the host daemons."""

from __future__ import annotations

from lmigrate.config import settings
from lmigrate.migration import observe as observation
from lmigrate.migration.steps import STEPS
from lmigrate.migration.steps.base import Side
from lmigrate.virt.connect import local_hypervisor
from tasks.base import LmigrateTask, task
from tasks.steps import register_step, register_undo

ON_HOSTS = [step for step in STEPS if step.side in {Side.SOURCE, Side.DESTINATION}]
STEP_TASKS = {step.name: register_step(step, local_hypervisor) for step in ON_HOSTS}
UNDO_TASKS = {step.name: register_undo(step, local_hypervisor) for step in ON_HOSTS}


@task("observe")
def observe(_self: LmigrateTask, side: str, migration_id: int, round_number: int) -> str:
    """Look at the guest on this host."""
    return observation.observe(Side(side), migration_id, round_number, settings().host.name, local_hypervisor)
