"""As much of a Keystone as keystonemiddleware asks: it logs in as the service, and has callers' tokens looked at."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

from flask import Flask, Response, request

from lmigrate.clock import utcnow

SERVICE, SERVICE_PASSWORD, SERVICE_TOKEN = "lmigrate", "service-password", "service-token"


def keystone(callers: dict[str, list[str]], cinders: dict[str, str] | None = None) -> Flask:
    """A Keystone that knows one service user, these callers' tokens (token → roles) and these services for volumes (region → URL)."""
    app = Flask("keystone")

    @app.get("/v3", strict_slashes=False)
    def version() -> dict[str, Any]:
        return {"version": {"id": "v3.14", "status": "stable", "links": [{"rel": "self", "href": request.base_url}]}}

    @app.get("/")
    def versions() -> tuple[dict[str, Any], int]:
        one = {"id": "v3.14", "status": "stable", "links": [{"rel": "self", "href": f"{request.base_url}v3/"}]}
        return {"versions": {"values": [one]}}, 300

    @app.post("/v3/auth/tokens")
    def log_in() -> Response:
        user = request.get_json()["auth"]["identity"]["password"]["user"]
        if (user["name"], user["password"]) != (SERVICE, SERVICE_PASSWORD):
            return Response(status=401)
        return _answer(201, _token("service", ["service"], cinders or {}), {"X-Subject-Token": SERVICE_TOKEN})

    @app.get("/v3/auth/tokens")
    def validate() -> Response:
        subject = request.headers["X-Subject-Token"]
        if request.headers.get("X-Auth-Token") != SERVICE_TOKEN:
            return Response(status=401)
        if subject not in callers:
            return Response(status=404)
        return _answer(200, _token(f"user-of-{subject}", callers[subject], {}), {"X-Subject-Token": subject})

    return app


def _answer(status: int, body: dict[str, Any], headers: dict[str, str]) -> Response:
    return Response(json.dumps(body), status, headers, content_type="application/json")


def _token(name: str, roles: list[str], cinders: dict[str, str]) -> dict[str, Any]:
    endpoints = [_endpoint(one, "R", f"{request.host_url}v3") for one in ("admin", "internal")]
    volumes = [_endpoint("public", region, url) for region, url in cinders.items()]
    domain = {"id": "default", "name": "Default"}
    return {
        "token": {
            "methods": ["password"],
            "user": {"id": f"id-{name}", "name": name, "domain": domain},
            "project": {"id": "project-1", "name": "work", "domain": domain},
            "roles": [{"id": role, "name": role} for role in roles],
            "issued_at": f"{utcnow():%Y-%m-%dT%H:%M:%S}.000000Z",
            "expires_at": f"{utcnow() + timedelta(hours=1):%Y-%m-%dT%H:%M:%S}.000000Z",
            "audit_ids": ["x"],
            "catalog": [
                {"id": "identity", "type": "identity", "name": "keystone", "endpoints": endpoints},
                {"id": "volumes", "type": "volumev3", "name": "cinder", "endpoints": volumes},
            ],
        },
    }


def _endpoint(interface: str, region: str, url: str) -> dict[str, str]:
    return {"id": f"{interface}-{region}", "interface": interface, "region": region, "region_id": region, "url": url}
