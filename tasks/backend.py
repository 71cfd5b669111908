"""No results are kept; and what cannot be told about a failure is let go."""

from __future__ import annotations

from typing import Any

import structlog
from celery.backends.base import DisabledBackend
from kombu.exceptions import OperationalError

log = structlog.get_logger(__name__)


class HintBackend(DisabledBackend):
    """Keeps nothing.  An errback that cannot be sent is forgotten: it is a hint, and the reconciler finds what has failed.

    Celery 5.7 would let the error out of the worker's trace.  Nobody would then hear that the task has ended, and a worker
    that takes no more messages than it has places (worker_disable_prefetch) would have one place less for the rest of its life.
    """

    def mark_as_failure(self, task_id: str, exc: Exception, *args: Any, **options: Any) -> None:
        """Send the errbacks, if that can be done."""
        try:
            super().mark_as_failure(task_id, exc, *args, **options)
        except (OperationalError, OSError) as error:
            log.warning("a failure could not be told to the conductor, which will find it", task=task_id, reason=str(error))
