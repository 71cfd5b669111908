"""The API, from the command line: timeouts, errors as sentences, pages as iterators."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import httpx

from lmigrate.cli.address import base_of, why_unreachable
from lmigrate.cli.endpoint import Endpoint, resolve
from lmigrate.cli.exit_codes import ExitCode, Failure, Refused, Unreachable
from lmigrate.ids import is_uuid

Json = dict[str, Any]

#: `force` exists up to 2.67; from 2.34 the answer does not wait for the checks
NOVA_VERSION = {"OpenStack-API-Version": "compute 2.67"}
_TIMEOUT = httpx.Timeout(30.0, connect=5.0)
_PAGE = 200
#: what the API cannot know to say: how its answer is dealt with here
_REMEDIES = {
    401: " Set LMIGRATE_TOKEN to a token; an administrator makes one with `lmigrate token create`, the first one with --local.",
    403: " `lmigrate token whoami` shows your role; an administrator gives another with `lmigrate token create --role`.",
}

#: instead, when there was a token
_NOT_GOOD = (
    " The token is not known here: it has expired, was revoked, or is of another installation."
    " Set LMIGRATE_TOKEN to another; an administrator makes one with `lmigrate token create`, the first one with --local."
)


def _sendable(token: str) -> str:
    """The token, which no message ever shows.

    Raises:
        Failure: it cannot be sent, such as one that was read with the end of its line.
    """
    if not (token.isascii() and token.isprintable()) or " " in token:
        raise Failure("The token has characters that no token has: the end of a line, a space? Set LMIGRATE_TOKEN anew.", ExitCode.USAGE)
    return token


class Client:
    """One API server."""

    def __init__(self, api: Endpoint, timeout: httpx.Timeout = _TIMEOUT) -> None:
        api = resolve(api)
        self.url = base_of(str(api.url))
        self._has_token = api.token is not None
        headers = {} if api.token is None else {"Authorization": f"Bearer {_sendable(api.token)}"}
        try:
            self._http = httpx.Client(base_url=self.url, timeout=timeout, headers=headers, verify=api.tls())
        except httpx.InvalidURL as error:
            raise _no_url(self.url, error) from error

    def get(self, path: str, **query: object) -> Json:
        """GET a JSON object; parameters that are None are left out."""
        wanted = {name: _text(value) for name, value in query.items() if value is not None}
        return self._json(self._send("GET", path, params=wanted))

    def patch(self, path: str, body: Json) -> Json:
        """PATCH, and the JSON object that comes back."""
        return self._json(self._send("PATCH", path, json=body))

    def post(self, path: str, body: Json) -> Json:
        """POST, and the JSON object that comes back."""
        return self._json(self._send("POST", path, json=body))

    def delete(self, path: str) -> Json:
        """DELETE, and the JSON object that comes back."""
        return self._json(self._send("DELETE", path))

    def pages(self, path: str, key: str, limit: int | None = None, **query: object) -> Iterator[Json]:
        """The rows of a list of ``/v1``, page after page, at most ``limit``."""
        marker, left = None, limit
        while left is None or left > 0:
            page = self.get(path, marker=marker, limit=min(left or _PAGE, _PAGE), **query)
            yield from page[key]
            marker = page["next_marker"]
            left = None if left is None else left - len(page[key])
            if marker is None:
                return

    def live_migrate(self, server_uuid: str, wanted: Json) -> str:
        """Ask for a live migration; the id of the request."""
        path = f"/v2.1/servers/{_quoted(server_uuid)}/action"
        try:
            response = self._send("POST", path, json={"os-migrateLive": wanted}, headers=NOVA_VERSION)
        except Refused as error:
            raise self._unknown_host(error, wanted["host"]) or error from error
        return str(response.headers.get("x-compute-request-id", ""))

    def abort(self, server_uuid: str, migration_id: int) -> None:
        """Ask for an abort."""
        self._send("DELETE", f"/v2.1/servers/{_quoted(server_uuid)}/migrations/{migration_id}", headers=NOVA_VERSION)

    def services(self, host: str | None) -> list[Json]:
        """Nova's compute services; that of one host, if it is named."""
        wanted = {} if host is None else {"host": host}
        answer = self._json(self._send("GET", "/v2.1/os-services", params=wanted, headers=NOVA_VERSION))
        return list(answer["services"])

    def change_service(self, host: str, changes: Json) -> None:
        """Change the service of a host.

        Raises:
            Failure: there is no such host.
        """
        found = self.services(host)
        if not found:
            raise Failure(f"There is no host named {host!r}. `lmigrate service list` shows all.", ExitCode.NOT_FOUND)
        self._send("PUT", f"/v2.1/os-services/{_quoted(found[0]['id'])}", json=changes, headers=NOVA_VERSION)

    def force_complete(self, server_uuid: str, migration_id: int) -> None:
        """Ask that the copy comes to its end."""
        path = f"/v2.1/servers/{_quoted(server_uuid)}/migrations/{migration_id}/action"
        self._send("POST", path, json={"force_complete": None}, headers=NOVA_VERSION)

    def migration(self, reference: str | int, *, samples: bool = False) -> Json:
        """One migration, by id or uuid."""
        return self.get(f"/v1/migrations/{_quoted(reference)}", samples=samples)

    def server(self, reference: str) -> Json:
        """One guest, by uuid or by a name that only one has."""
        return self.get(f"/v1/servers/{_quoted(self.server_uuid(reference))}")

    def plan(self, server_uuid: str, host: str | None) -> Json:
        """What moving a guest would do."""
        return self.get(f"/v1/servers/{_quoted(server_uuid)}/plan", host=host)

    def server_uuid(self, reference: str) -> str:
        """The uuid of the guest that is meant.

        Raises:
            Failure: there is none of that name, or more than one.
        """
        if is_uuid(reference):
            return reference.lower()
        found = [row["uuid"] for row in self.pages("/v1/servers", "servers", name=f"^{reference}$") if row["name"] == reference]
        if not found:
            raise Failure(f"There is no server named {reference!r}. `lmigrate server list` shows all.", ExitCode.NOT_FOUND)
        if len(found) > 1:
            raise Failure(f"{len(found)} servers are named {reference!r}: say which by its UUID ({', '.join(found)}).", ExitCode.CONFLICT)
        return str(found[0])

    def volume_uuid(self, reference: str) -> str:
        """The uuid of the volume that is meant, by uuid or by a name that only one has.

        Raises:
            Failure: there is none of that name, or more than one.
        """
        if is_uuid(reference):
            return reference.lower()
        found = [row["uuid"] for row in self.pages("/v1/volumes", "volumes", name=reference)]
        if not found:
            raise Failure(f"There is no volume named {reference!r}. `lmigrate volume list` shows all.", ExitCode.NOT_FOUND)
        if len(found) > 1:
            raise Failure(f"{len(found)} volumes are named {reference!r}: say which by its UUID ({', '.join(found)}).", ExitCode.CONFLICT)
        return str(found[0])

    def _unknown_host(self, error: Refused, host: str | None) -> Refused | None:
        """The same refusal, if it is for a host that does not exist: Nova says 400 for that, as for much else."""
        if error.status != 400 or host is None:
            return None
        try:
            self.get(f"/v1/hosts/{_quoted(host)}")
        except Refused as missing:
            return Refused(error.message, error.status, "UnknownHost") if missing.status == 404 else None
        return None

    def missing(self) -> dict[str, str]:
        """What the API cannot do its work without (database, broker), each with the reason; empty when it is ready."""
        checks = _body(self._ask("GET", "/readyz")).get("checks", {})
        return {name: reason for name, reason in checks.items() if reason != "ok"}

    def _send(self, method: str, path: str, **options: Any) -> httpx.Response:
        response = self._ask(method, path, **options)
        if response.is_error:
            raise self._refused(response)
        return response

    def _ask(self, method: str, path: str, **options: Any) -> httpx.Response:
        try:
            return self._http.request(method, path, **options)
        except (httpx.UnsupportedProtocol, httpx.InvalidURL) as error:
            raise _no_url(self.url, error) from error
        except httpx.TimeoutException as error:
            raise Unreachable(f"The API at {self.url} did not answer in time. `curl {self.url}/readyz` says what it waits for.") from error
        except httpx.TransportError as error:
            raise Unreachable(why_unreachable(self.url, error)) from error

    def _refused(self, response: httpx.Response) -> Refused:
        status, body = response.status_code, _body(response)
        remedy = _NOT_GOOD if status == 401 and self._has_token else _REMEDIES.get(status, "")
        return Refused(_message(response, body) + remedy, status, str(body.get("code", "")))

    def _json(self, response: httpx.Response) -> Json:
        try:
            value = response.json()
        except ValueError as error:
            raise Failure(f"{self.url} does not speak lmigrate's API (no JSON in its answer). Is LMIGRATE_URL right?") from error
        if not isinstance(value, dict):
            raise Failure(f"{self.url} does not speak lmigrate's API (no JSON object in its answer). Is LMIGRATE_URL right?")
        return value


def _body(response: httpx.Response) -> Json:
    """The error's document; empty if it has none."""
    try:
        body = response.json()
    except ValueError:
        return {}
    return body if isinstance(body, dict) else {}


def _message(response: httpx.Response, body: Json) -> str:
    """The sentence of a problem document or of a Nova fault."""
    if "detail" in body:
        return str(body["detail"])
    fault = next(iter(body.values())) if len(body) == 1 else None
    if isinstance(fault, dict) and "message" in fault:
        return str(fault["message"])
    return f"{response.request.url} answered {response.status_code} {response.reason_phrase}."


def _no_url(url: str, error: Exception) -> Failure:
    return Failure(f"{url!r} is not a URL ({error}). Set LMIGRATE_URL to something like http://127.0.0.1:8774.", ExitCode.USAGE)


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _quoted(part: object) -> str:
    return quote(str(part), safe="")
