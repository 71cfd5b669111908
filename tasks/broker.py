"""Whether the broker can be reached, asked the way messages are sent."""

from __future__ import annotations

from kombu.exceptions import OperationalError

from tasks.app import app

_TIMEOUT_S = 2.0
_UNAVAILABLE: tuple[type[BaseException], ...] = (OperationalError, *app.connection_for_write().connection_errors)


def why_unavailable() -> str | None:
    """Why no message can be sent, in one sentence without the broker's URL; None when it answers."""
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
