"""The one place where an error becomes an HTTP answer.

Under ``/v1`` an RFC 9457 problem document, under ``/identity`` Keystone's, everywhere else a Nova fault
(``{"itemNotFound": {"code": 404, "message": …}}``).  What is not listed here is a
500 whose message says nothing but the request id; the stack goes to the log.
"""

from __future__ import annotations

import re
from http import HTTPStatus

import structlog
from flask import Flask, Response, g, jsonify, request
from werkzeug.exceptions import HTTPException

from api import request_ids
from api.body import MalformedBody
from api.microversions import InvalidVersion, VersionNotSupported
from api.refusals import Forbidden, NotThisMachine, OverLimit, Unauthenticated
from lmigrate import errors as lm
from lmigrate.db.availability import UNAVAILABLE, kind_of

log = structlog.get_logger(__name__)

#: the first class that an error is an instance of decides
STATUS: tuple[tuple[type[lm.LmigrateError], int], ...] = (
    (VersionNotSupported, 406),
    (InvalidVersion, 400),
    (MalformedBody, 400),
    (Unauthenticated, 401),
    (Forbidden, 403),
    (NotThisMachine, 403),
    (OverLimit, 429),
    (lm.InstanceNotFound, 404),
    (lm.MigrationNotFound, 404),
    (lm.VolumeNotFound, 404),
    (lm.TokenNotFound, 404),
    (lm.AuditEventNotFound, 404),
    (lm.VolumeExists, 409),
    (lm.InstanceInvalidState, 409),
    (lm.AbortTooLate, 409),
    (lm.NotHeld, 409),
    (lm.ForgetRefused, 409),
    (lm.ResolutionRefused, 409),
    (lm.MigrationAborted, 409),
    (lm.RequestError, 400),
    (lm.HostError, 400),
    (lm.HypervisorError, 400),
    (lm.BrokerUnavailable, 503),
)

#: Nova's word for each status; any other is a computeFault
FAULT_NAMES = {
    400: "badRequest",
    401: "unauthorized",
    403: "forbidden",
    404: "itemNotFound",
    405: "badMethod",
    409: "conflictingRequest",
    413: "overLimit",
    415: "badMediaType",
    429: "overLimit",
    501: "notImplemented",
    503: "serviceUnavailable",
}

#: about as long as a database takes to start again
RETRY_AFTER_S = 10

_WORD = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")


class NotFound(lm.RequestError):
    """The resource could not be found."""


class Conflict(lm.RequestError):
    """What was asked for is in the way of what there is."""


class NotSupported(lm.RequestError):
    """The requested functionality is not supported. {remedy}"""


class MarkerNotFound(NotFound):
    """Marker {marker} could not be found: begin again without one."""


def install(app: Flask) -> None:
    """Answer every error of ``app`` from here."""
    app.register_error_handler(lm.LmigrateError, _lmigrate_error)
    app.register_error_handler(HTTPException, _http_error)
    for unavailable in UNAVAILABLE:
        app.register_error_handler(unavailable, _database_error)
    app.register_error_handler(Exception, _unexpected)


def status_of(error: lm.LmigrateError) -> int:
    """The HTTP status that ``error`` is answered with."""
    if isinstance(error, NotFound):
        return 404
    if isinstance(error, Conflict | NotSupported):
        return 409 if isinstance(error, Conflict) else 501
    return next((status for kind, status in STATUS if isinstance(error, kind)), 500)


def answer(status: int, code: str, message: str) -> Response:
    """The error's document, in the words of the API that was asked."""
    g.error_code = code
    made = _document(status, code, message)
    made.status_code = status
    return made


def _document(status: int, code: str, message: str) -> Response:
    if request.path.startswith("/v1"):
        return _problem(status, code, message)
    if request.path.startswith("/identity"):
        return jsonify({"error": {"code": status, "title": HTTPStatus(status).phrase, "message": message}})
    return _fault(status, message)


def _fault(status: int, message: str) -> Response:
    return jsonify({FAULT_NAMES.get(status, "computeFault"): {"code": status, "message": message}})


def _problem(status: int, code: str, message: str) -> Response:
    made = jsonify(
        {
            "type": f"urn:lmigrate:problem:{_WORD.sub('-', code).lower()}",
            "title": HTTPStatus(status).phrase,
            "status": status,
            "detail": message,
            "instance": f"urn:lmigrate:request:{request_ids.current()}",
            "code": code,
        },
    )
    made.mimetype = "application/problem+json"
    return made


def _lmigrate_error(error: lm.LmigrateError) -> Response:
    status = status_of(error)
    if status >= 500 and status != 501:
        log.error("request failed", error=str(error), code=error.code, exc_info=error)
    if status == 500 and not isinstance(error, lm.PrechecksNotEnded):  # the migration goes on: who asked must know
        return answer(status, "UnexpectedError", _unexpected_message())
    made = _unavailable(error.code, str(error)) if status == 503 else answer(status, error.code, str(error))
    for name, value in getattr(error, "headers", ()):
        made.headers.add(name, value)
    return made


def _http_error(error: HTTPException) -> Response:
    status = error.code or 500
    if status >= 500:
        log.error("request failed", exc_info=error)
    made = answer(status, type(error).__name__, _description(error, status))
    for name, value in error.get_headers():
        if name.lower() not in {"content-type", "content-length"}:
            made.headers[name] = value  # Allow of 405, Location of 308
    return made


def _description(error: HTTPException, status: int) -> str:
    if status == 404:
        return "The resource could not be found."
    return _unexpected_message() if status >= 500 else (error.description or HTTPStatus(status).phrase)


def _database_error(error: Exception) -> Response:
    log.error("database unavailable", kind=kind_of(error))  # the error's own text has the statement in it
    return _unavailable("DatabaseUnavailable", f"The database cannot be used at this time ({kind_of(error)}). Try again in a moment.")


def _unavailable(code: str, message: str) -> Response:
    """Nothing was changed for good; the client is told when to come back."""
    made = answer(503, code, message)
    made.headers["Retry-After"] = str(RETRY_AFTER_S)
    return made


def _unexpected(error: Exception) -> Response:
    log.error("unexpected error", exc_info=error)
    return answer(500, "UnexpectedError", _unexpected_message())


def _unexpected_message() -> str:
    return f"Unexpected API error. The log of the API has the details under {request_ids.current()}."
