"""Why a caller is turned away before any view runs.  What they asked for is never part of the answer."""

from __future__ import annotations

from lmigrate.errors import RequestError


class Unauthenticated(RequestError):
    """The request you have made requires authentication."""

    headers = (("WWW-Authenticate", 'Bearer realm="lmigrate"'), ("WWW-Authenticate", 'Basic realm="lmigrate", charset="UTF-8"'))


class Forbidden(RequestError):
    """Policy does not allow this in the role {role}."""


class NotThisMachine(RequestError):
    """Nobody is asked for a token here, so only this machine is answered; {header} names another: {value!r}. Ask at localhost."""


class OverLimit(RequestError):
    """Too many requests: try again in {retry_after_s} s."""

    def __init__(self, retry_after_s: int) -> None:
        super().__init__(retry_after_s=retry_after_s)
        self.retry_after_s = retry_after_s
        self.headers = (("Retry-After", str(retry_after_s)),)
