"""What all tasks have in common."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import structlog
from celery import Task

from lmigrate.config import host_epoch
from lmigrate.db.availability import UNAVAILABLE
from lmigrate.errors import LmigrateError
from tasks.app import app

log = structlog.get_logger(__name__)


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
