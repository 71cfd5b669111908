"""What every request passes before anything else looks at it: rate, who, may they.

In this order, so that somebody unknown learns nothing but that they are unknown: whether a path, a guest or
a version exists is looked up for callers only, and whether a guest exists for callers who may.
"""

from __future__ import annotations

from collections.abc import Callable

import structlog
from flask import Flask, current_app, g, request

from api import caller, credentials, policy
from api.caller import ADMINISTRATOR, Caller, Mode
from api.limits import Limits
from api.refusals import NotThisMachine, Unauthenticated
from lmigrate.access import tokens
from lmigrate.db.models import ApiToken

log = structlog.get_logger(__name__)

_MAX_PATH = 1000
_EXTENSION = "lmigrate.guard"


def current() -> Guard:
    """The guard of the present application."""
    found: Guard = current_app.extensions[_EXTENSION]
    return found


class Guard:
    """The checks of one application."""

    def __init__(self, mode: Mode, limits: Limits, *, answers_this_machine_only: bool = False) -> None:
        self.mode = mode
        self._is_local = answers_this_machine_only
        self._limits = limits

    def install(self, app: Flask) -> None:
        """Stand before every request of ``app``.

        Raises:
            NoPolicy: there is a route that the policy does not name.
        """
        policy.require_complete({rule.endpoint for rule in app.url_map.iter_rules()})
        app.extensions[_EXTENSION] = self
        app.before_request(self.check)

    def check(self) -> None:
        """Let the request through, or raise.

        Raises:
            OverLimit, Unauthenticated, Forbidden, NotThisMachine.
        """
        g.operation = request.endpoint
        if self.mode == "none":
            self._require_this_machine()
            g.caller = ADMINISTRATOR
            return
        self._limits.count("address", caller.address())
        if policy.is_open(request.endpoint):
            return
        g.caller = self._authenticate()
        if request.endpoint is not None:
            policy.require(request.endpoint)

    def _require_this_machine(self) -> None:
        """Where nobody is asked, a web page must not get in by a name of its own that leads here (DNS rebinding)."""
        found = caller.names_other_machine(request.headers) if self._is_local else None
        if found is not None:
            raise NotThisMachine(header=found[0], value=found[1][:_MAX_PATH])

    def log_in(self, find: Callable[[], ApiToken | None]) -> ApiToken:
        """The token that ``find`` finds; its owner has made one more request.  Who gives wrong ones is slowed.

        Raises:
            OverLimit: too many wrong ones came from there, or the owner asks too often.
            Unauthenticated: this one is wrong.
        """
        address = caller.address()
        self._limits.refuse_if_exhausted("failure", address)
        found = find()
        if found is None:
            self._limits.note_failure(address)
            log.warning("wrong credentials", address=address, method=request.method[:16], path=request.path[:_MAX_PATH])
            raise Unauthenticated
        self._limits.count("caller", found.name)
        tokens.note_use(found, address)
        return found

    def _authenticate(self) -> Caller:
        if not credentials.are_sent():
            raise Unauthenticated
        self._limits.refuse_if_exhausted("failure", caller.address())  # or whoever guesses would find a token of Keystone
        vouched = credentials.of_keystone() if self.mode == "keystone" else None
        if vouched is None:
            return credentials.caller_of(self.log_in(credentials.token))
        self._limits.count("caller", vouched.user_id)
        return vouched
