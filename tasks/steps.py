"""One task for each step, and one for its undo: `lmigrate.check_destination`, `lmigrate.undo.check_destination` …"""

from __future__ import annotations

from typing import Any

from celery import Task

from lmigrate.config import settings
from lmigrate.migration.runner import run_step
from lmigrate.migration.steps.base import Step
from lmigrate.migration.undo import undo_step
from tasks.base import epoch, task


def register_step(step: Step) -> Any:
    """The task that does ``step``."""

    @task(step.name)
    def body(_self: Task, migration_id: int, attempt: int) -> str:
        return run_step(step.name, migration_id, attempt, settings(), epoch())

    return body


def register_undo(step: Step) -> Any:
    """The task that undoes ``step``."""

    @task(f"undo.{step.name}")
    def body(_self: Task, migration_id: int, attempt: int) -> str:
        return undo_step(step.name, migration_id, attempt, settings(), epoch())

    return body
