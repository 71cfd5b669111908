"""Celery's consumer, with task events sent in batches."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from celery.worker.consumer import Consumer
from kombu.asynchronous import Hub

#: Flower may learn of a task this much later
SEND_EVENTS_AFTER_S = 0.25


class BatchingConsumer(Consumer):
    """Sends the events of a while together.

    Celery sends each at once, in the thread that also takes the next message, while the task begins or hands on to
    its successor: three publications for each of a migration's steps, in whose way they stand.
    """

    hub: Hub | None
    _flush_events: Callable[[], None]
    _is_planned = False

    def on_send_event_buffered(self) -> None:  # type: ignore[override]  # the stubs take it for an attribute
        """An event waits.  Any thread may say so; the loop's own thread plans."""
        if self.hub and not self._is_planned:
            self._is_planned = True
            self.hub.call_soon(self._plan)

    def _plan(self, *_args: Any) -> None:
        if self.hub:
            self.hub.call_later(SEND_EVENTS_AFTER_S, self._send)

    def _send(self) -> None:
        self._is_planned = False  # before the events are taken: one that comes meanwhile plans again
        self._flush_events()

    def shutdown(self) -> None:
        """What waits is sent first."""
        self._flush_events()
        super().shutdown()
