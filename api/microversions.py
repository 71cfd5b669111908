"""Nova's microversions: which one a request asks for, and how every answer says which it got."""

from __future__ import annotations

import re
from dataclasses import dataclass

from flask import Flask, Response, g, request
from werkzeug.datastructures import Headers

from lmigrate.errors import RequestError

HEADER = "OpenStack-API-Version"
LEGACY_HEADER = "X-OpenStack-Nova-API-Version"
_NUMBER = re.compile(r"([1-9]\d{0,3})\.(0|[1-9]\d{0,3})\Z", re.ASCII)


class InvalidVersion(RequestError):
    """API Version String {version} is of invalid format. Must be of format MajorNum.MinorNum."""


class VersionNotSupported(RequestError):
    """Version {version} is not supported by the API. Minimum is {minimum} and maximum is {maximum}."""


@dataclass(frozen=True, order=True)
class Microversion:
    """A version of Nova's wire, compared by number: 2.9 comes before 2.10."""

    major: int
    minor: int

    @classmethod
    def parse(cls, text: str) -> Microversion:
        """Read ``2.53``.

        Raises:
            InvalidVersion: it is not of that form.
        """
        match = _NUMBER.match(text)
        if match is None:
            raise InvalidVersion(version=text)
        return cls(int(match[1]), int(match[2]))

    def __str__(self) -> str:
        return f"{self.major}.{self.minor}"


MINIMUM = Microversion(2, 1)
MAXIMUM = Microversion(2, 96)


def install(app: Flask) -> None:
    """Negotiate before every request to Nova's wire and stamp every answer."""
    app.before_request(_negotiate)
    app.after_request(_stamp)


def current() -> Microversion:
    """The version of the present request."""
    version: Microversion = g.get("microversion", MINIMUM)
    return version


def at_least(version: str) -> bool:
    """Whether the present request speaks ``version`` or newer."""
    return current() >= Microversion.parse(version)


def is_nova_path(path: str) -> bool:
    """Whether ``path`` belongs to Nova's wire."""
    return path == "/v2.1" or path.startswith("/v2.1/")


def asked_for(headers: Headers) -> Microversion:
    """The version that ``headers`` ask for; the oldest when they ask for none.

    Raises:
        InvalidVersion: the header is malformed.
        VersionNotSupported: no such version is served.
    """
    text = _compute_version(headers)
    if text is None:
        return MINIMUM
    if text == "latest":
        return MAXIMUM
    version = Microversion.parse(text)
    if not MINIMUM <= version <= MAXIMUM:
        raise VersionNotSupported(version=version, minimum=MINIMUM, maximum=MAXIMUM)
    return version


def _compute_version(headers: Headers) -> str | None:
    """The word for compute out of ``identity 3.1, compute 2.53``, else the older header's."""
    for part in ",".join(headers.getlist(HEADER)).split(","):
        words = part.split()
        if len(words) == 2 and words[0].lower() == "compute":
            return words[1]
    legacy = headers.get(LEGACY_HEADER)
    return legacy.strip() if legacy else None


def _negotiate() -> None:
    if is_nova_path(request.path):
        g.microversion = asked_for(request.headers)


def _stamp(response: Response) -> Response:
    if is_nova_path(request.path):
        response.headers[HEADER] = f"compute {current()}"
        response.headers[LEGACY_HEADER] = str(current())
        response.vary.update([HEADER, LEGACY_HEADER])
    return response
