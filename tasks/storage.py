"""Tasks of the storage daemons."""

from __future__ import annotations

from functools import cache
from typing import Any

from celery.signals import worker_ready

from lmigrate.config import settings
from lmigrate.migration.steps import STEPS
from lmigrate.migration.steps.base import Side
from lmigrate.storage import registration
from lmigrate.storage.audit import Sweeper
from tasks.app import app, queue
from tasks.base import LmigrateTask, task
from tasks.pace import Pace
from tasks.steps import register_step, register_undo

AT_STORAGE = [step for step in STEPS if step.side is Side.STORAGE]
STEP_TASKS = {step.name: register_step(step) for step in AT_STORAGE}
UNDO_TASKS = {step.name: register_undo(step) for step in AT_STORAGE}
_PACE = Pace(settings().storage.sweep_interval_s / 2)


@task("verify_volume")
def verify_volume(_self: LmigrateTask, volume_uuid: str) -> str:
    """Look whether the storage has a volume that is to be registered."""
    return registration.verify(volume_uuid, settings())


@task("sweep_storage")
def sweep_storage(_self: LmigrateTask) -> str:
    """Compare what the storage grants with the records."""
    backend = settings().storage.serves
    if not _PACE.admits():
        return f"{backend} has only just been compared"
    return "; ".join(_sweeper(backend).sweep() if backend else []) or f"{backend} grants what the records say"


@cache
def _sweeper(backend: str) -> Sweeper:
    """One for the life of the process: it remembers since when it has seen a leak."""
    return Sweeper(settings(), backend)


@worker_ready.connect
def _sweep_at_start(sender: Any, **_options: object) -> None:
    """The storage may have been restarted, too, and have forgotten everything."""
    backend = settings().storage.serves
    if backend is not None and sender.hostname == f"storage@{backend}":
        app.send_task("lmigrate.sweep_storage", queue=queue(f"storage.{backend}").name)
