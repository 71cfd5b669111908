"""What all tasks have in common."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import structlog
from celery import Task

from lmigrate.errors import LmigrateError
from tasks.app import app

log = structlog.get_logger(__name__)


class LmigrateTask(Task):  # type: ignore[misc]
    """Logs the sentence that the body returns.  The errors of lmigrate are expected: one line, no stack trace."""

    ignore_result = True
    throws = (LmigrateError,)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run the body."""
        sentence = super().__call__(*args, **kwargs)
        log.info(sentence, task=self.name)
        return sentence


def task(name: str) -> Callable[[Callable[..., Any]], Any]:
    """Register a task under ``lmigrate.<name>``; ``bind`` makes Celery send errbacks as messages in all versions."""

    def register(body: Callable[..., Any]) -> Any:
        return app.task(body, base=LmigrateTask, bind=True, name=f"lmigrate.{name}")

    return register


def epoch() -> str | None:
    """The epoch of the host daemon that started this worker; None on the conductor."""
    return os.environ.get("LMIGRATE_HOST_EPOCH")
