"""Whether the broker can be reached, asked the way messages are sent."""

from __future__ import annotations

from kombu.exceptions import OperationalError

from lmigrate.deadline import Overdue, Patience
from tasks.app import app

#: for one answer, and for all that it takes to hear that Redis is well
_TIMEOUT_S, _DEADLINE_S = 2.0, 4.0
_PATIENCE = Patience("a look at the broker")
_UNAVAILABLE: tuple[type[BaseException], ...] = (OperationalError, *app.connection_for_write().connection_errors)


def why_unavailable() -> str | None:
    """Why no message can be sent, in one sentence without the broker's URL; None when it answers, and soon."""
    try:
        return _PATIENCE.in_time(_ask, _DEADLINE_S)
    except Overdue as overdue:
        return f"the broker is slow ({overdue})"


def _ask() -> str | None:
    options = {**app.conf.broker_transport_options, "socket_timeout": _TIMEOUT_S, "socket_connect_timeout": _TIMEOUT_S}
    connection = app.connection_for_write(transport_options=options)
    try:
        connection.ensure_connection(max_retries=1, interval_start=0, interval_step=0)
        connection.default_channel.client.ping()  # type: ignore[attr-defined]  # of the Redis transport
    except _UNAVAILABLE as error:
        return f"the broker does not answer ({type(error.__cause__ or error).__name__})"
    finally:
        connection.release()
    return None
