"""Tasks of the host daemons."""

from __future__ import annotations

from typing import Any

from celery.signals import worker_ready

from lmigrate.config import settings
from lmigrate.doctor import host_secrets, host_sweep
from lmigrate.migration import observe as observation
from lmigrate.migration import reconcile
from lmigrate.migration.steps import STEPS
from lmigrate.migration.steps.base import Side
from lmigrate.virt.connect import local_hypervisor
from tasks.app import app, queue
from tasks.base import LmigrateTask, epoch, task
from tasks.dispatcher import CeleryDispatcher
from tasks.steps import register_step, register_undo

ON_HOSTS = [step for step in STEPS if step.side in {Side.SOURCE, Side.DESTINATION}]
STEP_TASKS = {step.name: register_step(step, local_hypervisor) for step in ON_HOSTS}
UNDO_TASKS = {step.name: register_undo(step, local_hypervisor) for step in ON_HOSTS}


@task("observe")
def observe(_self: LmigrateTask, side: str, migration_id: int, round_number: int) -> str:
    """Look at the guest on this host."""
    return observation.observe(Side(side), migration_id, round_number, settings().host.name, local_hypervisor)


@task("sweep_host")
def sweep_host(_self: LmigrateTask) -> str:
    """Look for what was left over on this host, and for what libvirt has forgotten."""
    found = host_sweep.sweep_host(settings(), local_hypervisor)
    found += host_secrets.restore_secrets(settings(), local_hypervisor())
    return "; ".join(found) or f"nothing was left over on {settings().host.name}"


@task("take_over")
def take_over(_self: LmigrateTask) -> str:
    """Drive on what an earlier daemon of this host has left in the middle."""
    return "; ".join(reconcile.take_over(settings(), epoch(), CeleryDispatcher())) or "no earlier daemon of this host has left anything"


@worker_ready.connect
def _look_at_start(sender: Any, **_options: object) -> None:
    """A daemon that starts puts its own host in order, without waiting for the beat."""
    name = settings().host.name
    if sender.hostname == f"ctl@{name}":
        for one in ("take_over", "sweep_host"):
            app.send_task(f"lmigrate.{one}", queue=queue(f"host.{name}").name)
