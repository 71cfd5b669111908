"""From a request's headers to whoever sent it.

``Authorization: Bearer``, ``X-Auth-Token`` (OpenStack's clients), and ``Authorization: Basic`` with a token's
name and the token (keystoneauth's http_basic, curl -u).  With a real Keystone its middleware has looked at
``X-Auth-Token`` before; what it found is believed only if our own wrapper says that it ran.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping

from flask import request

from api.caller import PROJECT, Caller
from api.refusals import Forbidden
from lmigrate.access import tokens
from lmigrate.config import settings
from lmigrate.db.models import ApiToken
from lmigrate.states import Role

#: set by `api.keystone` in the WSGI environment of a request that the middleware has let through
KEYSTONE_RAN = "lmigrate.keystone_ran"


def are_sent() -> bool:
    """Whether the request carries any."""
    return "Authorization" in request.headers or "X-Auth-Token" in request.headers


def token() -> ApiToken | None:
    """The token of ours that the request carries, if it is good."""
    basic = request.authorization
    if basic is not None and basic.type == "basic":
        return of_password(basic.username or "", basic.password or "")
    secret = basic.token if basic is not None and basic.type == "bearer" else request.headers.get("X-Auth-Token")
    return tokens.authenticate(secret) if secret else None


def of_password(name: str, secret: str) -> ApiToken | None:
    """The token ``secret``, if it is good and belongs to ``name``."""
    found = tokens.authenticate(secret)
    if found is None or not hmac.compare_digest(found.name.encode(), name.encode(errors="replace")):
        return None
    return found


def caller_of(found: ApiToken) -> Caller:
    """Whoever has that token."""
    return Caller(user_id=found.name, project_id=PROJECT, role=found.role, token_uuid=found.parent_uuid or found.uuid)


def of_keystone() -> Caller | None:
    """Whom a real Keystone has vouched for; None when it did not.

    Raises:
        Forbidden: it did, but none of their roles means anything here.
    """
    environ = request.environ
    if not environ.get(KEYSTONE_RAN) or environ.get("HTTP_X_IDENTITY_STATUS") != "Confirmed":
        return None
    role = _highest(environ.get("HTTP_X_ROLES", ""), settings().auth.keystone_roles or {one.value: one for one in Role})
    if role is None:
        raise Forbidden(role="caller whose roles in Keystone are none of auth.keystone_roles")
    return Caller(
        user_id=environ.get("HTTP_X_USER_NAME") or environ["HTTP_X_USER_ID"],
        project_id=environ.get("HTTP_X_PROJECT_ID") or PROJECT,
        role=role,
    )


def _highest(names: str, mapping: Mapping[str, Role]) -> Role | None:
    """The role here of somebody who has ``names`` (comma-separated) there."""
    found = {mapping[name.strip()] for name in names.split(",") if name.strip() in mapping}
    return max(found, key=list(Role).index, default=None)
