"""Every request has an id: in both of OpenStack's headers, in the logs, and as the id of the instance action."""

from __future__ import annotations

import structlog
from flask import Flask, Response, g

from lmigrate.ids import new_request_id


def install(app: Flask) -> None:
    """Give every request its id before anything else looks at it."""
    app.before_request(_begin)
    app.after_request(_stamp)


def current() -> str:
    """The id of the present request: ``req-`` and a UUID."""
    if "request_id" not in g:
        g.request_id = new_request_id()
    request_id: str = g.request_id
    return request_id


def _begin() -> None:
    structlog.contextvars.clear_contextvars()
    structlog.contextvars.bind_contextvars(request_id=current())


def _stamp(response: Response) -> Response:
    response.headers["x-openstack-request-id"] = current()
    response.headers["x-compute-request-id"] = current()
    return response
