"""One task for each step, and one for its undo: `lmigrate.check_destination`, `lmigrate.undo.check_destination` …"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from lmigrate.config import settings
from lmigrate.migration.runner import run_step
from lmigrate.migration.steps.base import Step, no_hypervisor
from lmigrate.migration.undo import undo_step
from lmigrate.virt.protocol import Hypervisor
from tasks.base import LmigrateTask, epoch, task


def register_step(step: Step, connect: Callable[[], Hypervisor] = no_hypervisor) -> Any:
    """The task that does ``step``."""

    @task(step.name)
    def body(_self: LmigrateTask, migration_id: int, attempt: int, row: str = step.name) -> str:
        return run_step(row, migration_id, attempt, settings(), epoch(), connect=connect)

    return body


def register_undo(step: Step, connect: Callable[[], Hypervisor] = no_hypervisor) -> Any:
    """The task that undoes ``step``."""

    @task(f"undo.{step.name}")
    def body(_self: LmigrateTask, migration_id: int, attempt: int, row: str = step.name) -> str:
        return undo_step(row, migration_id, attempt, settings(), epoch(), connect=connect)

    return body
