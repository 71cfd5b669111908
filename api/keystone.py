"""A real Keystone, for those who have one: its own middleware (the extra `keystone`) checks X-Auth-Token."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from api import caller
from api.credentials import KEYSTONE_RAN
from api.limits import Limits
from api.proxies import Wsgi
from lmigrate.access.tokens import PREFIX
from lmigrate.config import AuthSettings
from lmigrate.errors import LmigrateError


class KeystoneUnusable(LmigrateError):
    """auth.mode is keystone, but {reason}."""


class Keystone:
    """Asks Keystone about X-Auth-Token; tokens of our own are let through for us to check.

    What the guard will refuse because of where it comes from is let through, too: Keystone is not asked for that.
    """

    def __init__(self, app: Wsgi, options: AuthSettings, limits: Limits) -> None:
        self._app = app
        self._limits = limits
        self._middleware = _middleware(self._checked, options)

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        """WSGI."""
        token = environ.get("HTTP_X_AUTH_TOKEN", "")
        is_theirs = token and not token.startswith(PREFIX)
        chosen = self._middleware if is_theirs and self._may_ask(caller.address_in(environ)) else self._app
        return chosen(environ, start_response)

    def _may_ask(self, address: str) -> bool:
        return not any(self._limits.is_exhausted(kind, address) for kind in ("address", "failure"))

    def _checked(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        """What the middleware calls: the identity headers are its own, whatever the client sent under their names."""
        environ[KEYSTONE_RAN] = True
        return self._app(environ, start_response)


def _middleware(app: Wsgi, options: AuthSettings) -> Wsgi:
    if not options.keystone:
        raise KeystoneUnusable(reason="auth.keystone does not say how to reach it")
    try:
        from keystonemiddleware.auth_token import AuthProtocol  # noqa: PLC0415 - an extra
    except ImportError as error:
        raise KeystoneUnusable(reason="keystonemiddleware is not installed here: pip install 'lmigrate[keystone]'") from error
    told = {name: value.get_secret_value() for name, value in options.keystone.items()}
    made: Wsgi = AuthProtocol(app, {**told, "delay_auth_decision": True})
    return made
