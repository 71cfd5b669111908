"""The lab's HTTP API, as a client of Nova's and as one of our own."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import httpx

from lmigrate.lab import secure
from lmigrate.lab.topology import Lab

ENDED = {"completed", "failed", "cancelled", "error"}
NEWEST = "2.96"
Json = dict[str, Any]


def eventually(what: str, look: Callable[[], Any], deadline_s: float = 30.0) -> Any:
    """The first true answer of ``look``."""
    until = time.monotonic() + deadline_s
    while not (found := look()):
        assert time.monotonic() < until, f"not within {deadline_s:g} s: {what}"
        time.sleep(0.05)
    return found


class Wire:
    """Requests to a lab's API."""

    def __init__(self, lab: Lab) -> None:
        self.http = httpx.Client(base_url=lab.url, timeout=90, headers=secure.headers(lab), verify=secure.context(lab) or True)

    def act(self, uuid: str, version: str = NEWEST, **arguments: Any) -> httpx.Response:
        """``os-migrateLive`` with exactly ``arguments``."""
        headers = {"OpenStack-API-Version": f"compute {version}"}
        return self.http.post(f"/v2.1/servers/{uuid}/action", json={"os-migrateLive": arguments}, headers=headers)

    def begin(self, uuid: str, host: str | None = None, **options: Any) -> int:
        """Ask for a migration that is accepted; its id."""
        arguments = {"host": host, "block_migration": "auto", **options}
        answer = self.act(uuid, arguments.pop("version", NEWEST), **arguments)
        assert answer.status_code == 202, answer.text
        return int(self.of_request(answer.headers["x-openstack-request-id"])["id"])

    def of_request(self, request_id: str) -> Json:
        """The migration that a request began."""
        found: Json = self.get("/v1/migrations", request_id=request_id)["migrations"][0]
        return found

    def move(self, uuid: str, host: str | None = None, **options: Any) -> Json:
        """A migration from request to end."""
        return self.end(self.begin(uuid, host, **options))

    def end(self, migration_id: int, deadline_s: float = 60.0) -> Json:
        """Wait for the end; the migration with its journal."""
        return self.until(migration_id, lambda found: found["status"] in ENDED, deadline_s)

    def status(self, migration_id: int, *statuses: str, deadline_s: float = 30.0) -> Json:
        """Wait for one of ``statuses``."""
        return self.until(migration_id, lambda found: found["status"] in statuses, deadline_s)

    def until(self, migration_id: int, holds: Callable[[Json], bool], deadline_s: float = 60.0) -> Json:
        """Wait until ``holds`` is true of the migration."""
        until = time.monotonic() + deadline_s
        while not holds(found := self.get(f"/v1/migrations/{migration_id}", samples=False)):
            assert time.monotonic() < until, f"not within {deadline_s:g} s: {story(found)}"
            time.sleep(0.1)  # each look costs the machine, and so the migration, some 20 ms
        return found

    def abort(self, uuid: str, migration_id: int) -> httpx.Response:
        """DELETE the migration in progress."""
        return self.http.delete(f"/v2.1/servers/{uuid}/migrations/{migration_id}", headers={"OpenStack-API-Version": f"compute {NEWEST}"})

    def server(self, uuid: str) -> Json:
        """The guest in /v1."""
        return self.get(f"/v1/servers/{uuid}")

    def nova(self, path: str) -> Json:
        """GET below /v2.1, at the newest microversion."""
        answer = self.http.get(f"/v2.1{path}", headers={"OpenStack-API-Version": f"compute {NEWEST}"})
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    def get(self, path: str, **query: Any) -> Json:
        """GET something that is there."""
        answer = self.http.get(path, params=query)
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    def action_messages(self, uuid: str) -> list[str]:
        """What Nova's clients read of the newest action: its message and its events' details."""
        newest = self.nova(f"/servers/{uuid}/os-instance-actions")["instanceActions"][0]
        shown = self.nova(f"/servers/{uuid}/os-instance-actions/{newest['request_id']}")["instanceAction"]
        return [str(shown["message"]), *(str(event["details"]) for event in shown["events"])]

    def wait_found(self, uuid: str, host: str, vm_state: str = "active") -> None:
        """Wait until the inventory has found a guest on ``host``, as it is now and not as it was on its way there."""

        def is_found() -> bool:
            answer = self.http.get(f"/v1/servers/{uuid}")
            return answer.status_code == 200 and (answer.json()["host"], answer.json()["vm_state"]) == (host, vm_state)

        eventually(f"{uuid} is found on {host}", is_found)


def story(migration: Json) -> str:
    """A migration in a few lines, for the message of a failed assertion."""
    heads = [f"migration {migration['id']}: {migration['status']} ({migration['phase']}): {migration['error']}"]
    steps = [
        f"  {step['attempt']} {step['name']} on {step['host']}: {step['state']}, {step['tries']} tries {step['error'] or ''}"
        for step in migration["steps"]
    ]
    events = [f"  {event['event']} {event['result'] or ''}: {event['details']}" for event in migration["events"]]
    return "\n".join(heads + steps + events)
