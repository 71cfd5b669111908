"""/healthz: this process lives.  /readyz: it can do its work, and if not, what is missing."""

from __future__ import annotations

from flask import Blueprint, Response, jsonify
from redis import Redis
from redis.exceptions import RedisError

from lmigrate.config import settings
from lmigrate.db.availability import why_unavailable

health = Blueprint("health", __name__)

_TIMEOUT_S = 2.0


@health.get("/healthz")
def healthz() -> Response:
    """Whether this process answers."""
    return jsonify({"status": "ok"})


@health.get("/readyz")
def readyz() -> Response:
    """Whether the database and the broker answer; 503 and the reason when one does not."""
    checks = {"database": why_unavailable(), "broker": why_broker_unavailable()}
    missing = {name: reason for name, reason in checks.items() if reason is not None}
    made = jsonify({"status": "unavailable" if missing else "ok", "checks": {name: reason or "ok" for name, reason in checks.items()}})
    made.status_code = 503 if missing else 200
    return made


def why_broker_unavailable() -> str | None:
    """Why Redis cannot be used, in one sentence without its URL; None when it answers."""
    url = settings().broker.url.get_secret_value()
    # kombu and redis-py write a UNIX socket differently, and the latter takes the number of the database as `db`
    url = url.replace("redis+socket://", "unix://", 1).replace("virtual_host=", "db=")
    try:
        with Redis.from_url(url, socket_timeout=_TIMEOUT_S, socket_connect_timeout=_TIMEOUT_S) as client:
            client.ping()
    except RedisError as error:
        return f"the broker does not answer ({type(error).__name__})"
    except (OSError, ValueError) as error:
        return f"the broker cannot be reached ({type(error).__name__})"
    return None
