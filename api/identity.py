"""The small Keystone: as much of OpenStack Identity as its clients ask for before they speak to Nova.

It has no users, passwords or projects of its own.  Whoever has a token may log in with it: its name is the
user, the token is the password (or the secret of an application credential, or the token of the method
`token`).  What they get is a session: a token that ends by itself, and with the one that opened it.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from flask import Blueprint, Response, g, jsonify, request
from pydantic import ValidationError

from api import credentials, guard
from api.body import json_object
from api.caller import ADMINISTRATOR, PROJECT, Caller
from api.complaints import needed
from api.identity_schemas import Login
from api.nova.times import whole_seconds
from api.pagination import url
from api.refusals import Unauthenticated
from lmigrate.access import tokens
from lmigrate.config import settings
from lmigrate.db.clock import utcnow
from lmigrate.db.models import ApiToken
from lmigrate.errors import InvalidInput
from lmigrate.ids import new_uuid

identity = Blueprint("identity", __name__, url_prefix="/identity")
#: what older clients insist on finding in the catalogue: an image service, of which there is nothing to see
images = Blueprint("images", __name__, url_prefix="/image")

_DOMAIN = {"id": "default", "name": "Default"}
_UPDATED = "2020-07-19T00:00:00Z"


@identity.get("", strict_slashes=False)
def index() -> tuple[Response, int]:
    """List the versions of the identity API: one."""
    return jsonify({"versions": {"values": [_version()]}}), 300


@identity.get("/v3", strict_slashes=False)
def show() -> Response:
    """Describe v3."""
    return jsonify({"version": _version()})


@identity.post("/v3/auth/tokens")
def create_session() -> tuple[Response, int]:
    """Log in with a token."""
    login = _login()
    if not login.is_for(PROJECT):
        raise Unauthenticated
    who, secret, ends = _session(login)
    g.caller = who
    made = jsonify({"token": _token(who, login.methods, ends)})
    made.headers["X-Subject-Token"] = secret
    made.headers["Vary"] = "X-Auth-Token"
    return made, 201


@identity.get("/v3/projects")
def list_projects() -> Response:
    """List the projects: one."""
    name = request.args.get("name")
    found = [_project()] if name in {None, PROJECT} else []
    return jsonify({"projects": found, "links": {"self": request.url, "next": None, "previous": None}})


@images.get("", strict_slashes=False)
def image_versions() -> Response:
    """List the versions of the image API: one."""
    return jsonify({"versions": [{"id": "v2.9", "status": "CURRENT", "links": [{"rel": "self", "href": url("image/v2/")}]}]})


@images.get("/v2/images")
def list_images() -> Response:
    """List images: guests of plain libvirt hosts have none."""
    return jsonify({"images": [], "schema": "/v2/schemas/images", "first": "/v2/images"})


def _login() -> Login:
    try:
        return Login.model_validate(json_object().get("auth"))
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        field = ".".join(["auth", *map(str, first["loc"])])
        raise InvalidInput(field=field, value="…", remedy=f"{needed(first)}.") from None  # what was sent may be a secret


def _session(login: Login) -> tuple[Caller, str, datetime]:
    """Who logs in, the session's secret, and when it ends.

    Raises:
        Unauthenticated, OverLimit.
    """
    lifetime = timedelta(seconds=settings().auth.session_lifetime_s)
    gate = guard.current()
    if gate.mode == "none":
        return ADMINISTRATOR, "none", utcnow() + lifetime
    found = gate.log_in(lambda: _found(login))
    made, secret = tokens.open_session(found, lifetime)
    return credentials.caller_of(made), secret, made.expires_at or utcnow()


def _found(login: Login) -> ApiToken | None:
    found = tokens.authenticate(login.secret)
    return found if found is not None and login.is_of(found.name, found.uuid) else None


def _token(who: Caller, methods: list[str], ends: datetime) -> dict[str, Any]:
    return {
        "methods": methods,
        "user": {"id": who.user_id, "name": who.user_id, "domain": _DOMAIN, "password_expires_at": None},
        "project": {"id": PROJECT, "name": PROJECT, "domain": _DOMAIN},
        "is_domain": False,
        "roles": [{"id": who.role.value, "name": who.role.value}],
        "audit_ids": [new_uuid()],
        "issued_at": whole_seconds(utcnow()),
        "expires_at": whole_seconds(ends),
        "catalog": [
            _service("compute", "nova", "v2.1"),
            _service("identity", "keystone", "identity"),
            _service("image", "glance", "image"),
        ],
    }


def _service(kind: str, name: str, path: str) -> dict[str, Any]:
    endpoints = [
        {"id": f"{kind}-{interface}", "interface": interface, "region": "RegionOne", "region_id": "RegionOne", "url": url(path)}
        for interface in ("public", "internal", "admin")
    ]
    return {"id": kind, "type": kind, "name": name, "endpoints": endpoints}


def _project() -> dict[str, Any]:
    links = {"self": url(f"identity/v3/projects/{PROJECT}")}
    return {
        "id": PROJECT,
        "name": PROJECT,
        "domain_id": _DOMAIN["id"],
        "parent_id": _DOMAIN["id"],
        "enabled": True,
        "is_domain": False,
        "links": links,
    }


def _version() -> dict[str, Any]:
    return {"id": "v3.14", "status": "stable", "updated": _UPDATED, "links": [{"rel": "self", "href": url("identity/v3/")}]}
