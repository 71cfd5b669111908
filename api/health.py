"""/healthz: this process lives.  /readyz: it can do its work, and if not, what is missing."""

from __future__ import annotations

from flask import Blueprint, Response, jsonify

from lmigrate.db import availability
from tasks import broker

health = Blueprint("health", __name__)


@health.get("/healthz")
def healthz() -> Response:
    """Whether this process answers."""
    return jsonify({"status": "ok"})


@health.get("/readyz")
def readyz() -> Response:
    """Whether the database and the broker answer; 503 and the reason when one does not."""
    checks = {"database": availability.why_unavailable(), "broker": broker.why_unavailable()}
    missing = [name for name, reason in checks.items() if reason is not None]
    made = jsonify({"status": "unavailable" if missing else "ok", "checks": {name: reason or "ok" for name, reason in checks.items()}})
    made.status_code = 503 if missing else 200
    return made
