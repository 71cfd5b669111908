"""Tasks of the storage daemons."""

from __future__ import annotations

from lmigrate.migration.steps import STEPS
from lmigrate.migration.steps.base import Side
from tasks.steps import register_step, register_undo

AT_STORAGE = [step for step in STEPS if step.side is Side.STORAGE]
STEP_TASKS = {step.name: register_step(step) for step in AT_STORAGE}
UNDO_TASKS = {step.name: register_undo(step) for step in AT_STORAGE}
