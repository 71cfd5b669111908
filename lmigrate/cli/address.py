"""The API's address as people give it, and what to say when nobody answers there."""

from __future__ import annotations

from urllib.parse import SplitResult, urlsplit

from lmigrate.cli.exit_codes import ExitCode, Failure
from lmigrate.urls import is_port

_EXAMPLE = "Set LMIGRATE_URL to something like http://127.0.0.1:8774."
#: what OpenSSL says → what to do
_TLS = {
    "mismatch": "Its certificate is for another name: use one that it has as the address (--url, LMIGRATE_URL).",
    "has expired": "Renew its certificate.",
    "CERTIFICATE_VERIFY_FAILED": "Name the authority that signed its certificate with --cacert or LMIGRATE_CACERT.",
    "WRONG_VERSION_NUMBER": "It does not speak HTTPS: http:// instead of https://?",
    "RECORD_LAYER_FAILURE": "It does not speak HTTPS: http:// instead of https://?",
}


def base_of(url: str) -> str:
    """The address that the paths of the API are put behind: ``/v2.1``, which other clients want there, is taken off.

    Raises:
        Failure: it is no address of an API.
    """
    try:
        parts = urlsplit(url)
        has_good_port = _has_good_port(parts)
    except ValueError as error:
        raise Failure(f"{url!r} is not a URL ({error}). {_EXAMPLE}", ExitCode.USAGE) from error
    if parts.username is not None or parts.password is not None:
        host = parts.netloc.rpartition("@")[2]
        message = f"The URL of {host} has a name or a password in it, which messages would show. Set LMIGRATE_TOKEN to a token instead."
        raise Failure(message, ExitCode.USAGE)
    if parts.query or parts.fragment:
        raise Failure(f"{url!r} has more behind the address (? or #), which no API is asked by. {_EXAMPLE}", ExitCode.USAGE)
    if parts.scheme not in {"http", "https"} or not parts.hostname or " " in url or not has_good_port:
        raise Failure(f"{url!r} is not a URL: http:// or https://, a name or an address, :port (1 to 65535). {_EXAMPLE}", ExitCode.USAGE)
    return url.rstrip("/").removesuffix("/v2.1").rstrip("/")


def why_unreachable(url: str, error: Exception) -> str:
    """Why nothing came from there, and what to do."""
    said = str(error)
    hint = next((hint for words, hint in _TLS.items() if words in said), None)
    hint = hint or "Is it running (`lmigrate api run`), and is LMIGRATE_URL right, http:// or https:// too?"
    return f"The API at {url} cannot be reached ({said}). {hint}"


def _has_good_port(parts: SplitResult) -> bool:
    _, colon, port = parts.netloc.rpartition("@")[2].rpartition("]")[2].rpartition(":")
    return not colon or is_port(port)
