"""What a request body may be: JSON in UTF-8, no larger than the limit, said to be JSON."""

from __future__ import annotations

import json
from typing import Any

from flask import Flask, request
from werkzeug.exceptions import UnsupportedMediaType

from lmigrate.errors import RequestError

#: PostgreSQL's text cannot hold it
_NUL = "the character NUL is in no name"


class MalformedRequest(RequestError):
    """Malformed request: {reason}"""


class MalformedBody(RequestError):
    """Malformed request body: {reason}"""


def install(app: Flask, max_bytes: int) -> None:
    """Refuse bodies that no route could use, before any route sees them."""
    app.config["MAX_CONTENT_LENGTH"] = max_bytes
    app.before_request(_check)


def _check() -> None:
    if "\0" in request.path or any("\0" in word for pair in request.args.items(multi=True) for word in pair):
        raise MalformedRequest(reason=_NUL)
    if request.method not in {"POST", "PUT", "PATCH"} or request.url_rule is None:
        return
    if not request.get_data(cache=True):  # raises 413 when it is too large
        return
    if request.mimetype != "application/json":
        raise UnsupportedMediaType(f"Unsupported Content-Type {request.mimetype or '(none)'}: send application/json.")
    json_object()


def json_object() -> dict[str, Any]:
    """The body as an object.

    Raises:
        MalformedBody: it is not JSON, or not an object.
    """
    data = request.get_data(cache=True)
    try:
        value = json.loads(data, parse_constant=_refuse_constant)
        text = json.dumps(value, ensure_ascii=False, allow_nan=False).encode()  # 1e999 is no number, half a surrogate pair cannot be stored
    except (ValueError, RecursionError) as error:
        raise MalformedBody(reason=str(error)) from error
    if b"\\u0000" in text:
        raise MalformedBody(reason=_NUL)
    if not isinstance(value, dict):
        raise MalformedBody(reason="a JSON object is needed")
    return value


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")
