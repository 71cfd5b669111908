"""What all tasks have in common: what they are about stands in each line that they log."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from inspect import signature
from typing import Any

import structlog
from celery import Task
from celery.signals import task_postrun, task_prerun

from lmigrate.config import host_epoch, settings
from lmigrate.db.availability import UNAVAILABLE
from lmigrate.errors import LmigrateError
from lmigrate.migration.steps import BY_NAME
from tasks.app import app

log = structlog.get_logger(__name__)

#: a task's argument → the field of the log
_FIELDS = {
    "migration_id": "migration",
    "attempt": "attempt",
    "row": "step",
    "round_number": "round",
    "side": "side",
    "volume_uuid": "volume",
}


class LmigrateTask(Task):  # type: ignore[type-arg] # generic for the type checker only
    """Logs the sentence that the body returns.  Errors of lmigrate, and a database that is away, are expected: one line, no stack trace."""

    ignore_result = True
    throws = (LmigrateError, *UNAVAILABLE)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run the body."""
        sentence = super().__call__(*args, **kwargs)
        log.info(sentence, task=self.name)
        return sentence


def task(name: str) -> Callable[[Callable[..., Any]], Any]:
    """Register a task under ``lmigrate.<name>``; ``bind`` makes Celery send errbacks as messages in all versions."""

    def register(body: Callable[..., Any]) -> Any:
        return app.task(base=LmigrateTask, bind=True, name=f"lmigrate.{name}")(body)

    return register


def epoch() -> str | None:
    """The epoch of the host daemon that started this worker; None on the conductor."""
    return host_epoch()


def about(task: Task[Any, Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of each line that is logged while ``task`` runs."""
    called = signature(task.run).bind(*args, **kwargs)
    called.apply_defaults()
    ids = {field: called.arguments[name] for name, field in _FIELDS.items() if name in called.arguments}
    if (step := task.name.removeprefix("lmigrate.")) in BY_NAME:
        ids.setdefault("step", step)
    return {**ids, "host": settings().host.name, "epoch": epoch()}


@task_prerun.connect
def _begin_lines(task: Task[Any, Any], args: tuple[Any, ...], kwargs: Mapping[str, Any], **_options: object) -> None:
    """Here and not in the task itself: Celery's own line about a failure is logged after that."""
    structlog.contextvars.bind_contextvars(**about(task, args, kwargs))


@task_postrun.connect
def _end_lines(**_options: object) -> None:
    """The thread goes on to another task."""
    structlog.contextvars.unbind_contextvars(*_FIELDS.values(), "host", "epoch")
