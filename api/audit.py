"""The record of every request that wants to change something: begun before it does, finished with its answer.

A change that cannot be recorded is not made: while the database is away nothing is.  Of a request that was
refused before it began, one row says so; refusals of strangers are kept up to a number per hour.
"""

from __future__ import annotations

from typing import Any

import structlog
from flask import Flask, Response, g, request
from werkzeug.exceptions import HTTPException

from api import body, caller, policy, request_ids
from api.limits import Limits
from lmigrate.db.availability import UNAVAILABLE
from lmigrate.db.models import AuditEvent
from lmigrate.db.session import writing
from lmigrate.db.stores import audit as store

log = structlog.get_logger(__name__)

_SAFE = {"GET", "HEAD", "OPTIONS"}
_MAX_PATH, _MAX_TOLD = 1000, 255


class Audit:
    """The audit of one application."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits

    def install(self, app: Flask) -> None:
        """Record what is asked of ``app``; to be installed after everything that refuses requests."""
        app.before_request(self.begin)
        app.after_request(self.finish)

    def begin(self) -> None:
        """Write down what is about to be done."""
        if request.method in _SAFE or request.url_rule is None or policy.is_open(request.endpoint):
            return  # who logs in is known, and recorded, when they have
        operation = _operation()
        row = _event(operation, _told(operation))
        with writing() as session:
            session.add(row)
            session.flush()
            g.audit_id = row.id

    def finish(self, response: Response) -> Response:
        """Write down what became of it.  The change is made or not: a failure here cannot take it back, and must not hide the answer."""
        if request.method in _SAFE or response.status_code == 429:
            return response
        try:
            self._finish(response.status_code)
        except UNAVAILABLE:
            log.exception("the end of a change could not be recorded", status=response.status_code)
        return response

    def _finish(self, status: int) -> None:
        if "audit_id" in g:
            with writing() as session:
                store.finish(session, g.audit_id, status, g.get("error_code"))
            return
        if caller.known() is None and not self._limits.may_record_stranger():
            log.warning("refused", address=caller.address(), method=request.method, path=request.path[:_MAX_PATH], status=status)
            return
        row = _event(_refused_operation(), {})
        row.status, row.error_code = status, g.get("error_code")
        with writing() as session:
            session.add(row)


def _event(operation: str | None, details: dict[str, Any]) -> AuditEvent:
    who = caller.known()
    return AuditEvent(
        request_id=request_ids.current(),
        user_id=None if who is None else who.user_id,
        token_uuid=None if who is None else who.token_uuid,
        role=None if who is None else who.role,
        address=caller.address(),
        method=request.method[:16],
        path=request.path.replace("\0", "\N{REPLACEMENT CHARACTER}")[:_MAX_PATH],
        operation=operation,
        details=details,
    )


def _operation() -> str:
    """The present operation; of several behind one path the one that the body's key names."""
    sent = request.get_json(silent=True)
    action = f"nova.{next(iter(sent))}" if isinstance(sent, dict) and len(sent) == 1 else ""
    return action if request.endpoint == "nova.act" and action in policy.POLICY else str(request.endpoint)


def _refused_operation() -> str | None:
    """Of a request that was refused before it began, perhaps for its body; a stranger's is not looked at."""
    found = policy.operation()
    if found != "nova.act" or caller.known() is None:
        return found
    try:
        body.json_object()
    except (body.MalformedBody, HTTPException):
        return found
    return _operation()


def _told(operation: str) -> dict[str, Any]:
    """The fields of the body that the policy names; an action's are one level down (``{"os-migrateLive": {"host": …}}``)."""
    sent = request.get_json(silent=True)
    inner = sent.get(operation.removeprefix("nova."), sent) if isinstance(sent, dict) else None
    return _named(inner, policy.POLICY[operation]) if isinstance(inner, dict) else {}


def _named(sent: dict[str, Any], rule: policy.Rule) -> dict[str, Any]:
    return {name: _short(sent[name]) for name in rule.told if name in sent}


def _short(value: Any) -> Any:
    """Plain values only, and of no great length."""
    if value is None or isinstance(value, bool | int | float):
        return value
    return str(value)[:_MAX_TOLD]
