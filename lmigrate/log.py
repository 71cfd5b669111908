"""Structured logs: one line per event, with the migration, step, host and epoch that it is about."""

from __future__ import annotations

import contextvars
import logging
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import structlog

from lmigrate.config import LogSettings


def configure(options: LogSettings) -> None:
    """Send every log line of this process, also those of libraries, to standard error."""
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
    ]
    renderer: structlog.typing.Processor = (
        structlog.processors.JSONRenderer() if options.format == "json" else structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
    )
    handler = logging.StreamHandler()
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared, processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer]
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(options.level.upper())
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.stdlib.BoundLogger,
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )


@contextmanager
def bound(**fields: object) -> Iterator[None]:
    """Add ``fields`` to every line that this thread logs inside."""
    with structlog.contextvars.bound_contextvars(**fields):
        yield


def carried(function: Callable[[], None]) -> Callable[[], None]:
    """``function`` for a thread of its own, whose lines say what ours would."""
    context = contextvars.copy_context()
    return lambda: context.run(function)
