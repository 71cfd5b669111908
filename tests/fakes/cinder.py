"""A Cinder that speaks HTTP: the volumes and attachments of API 3.44, in memory.

It is held to what a real Cinder 29.0 answered (tests/golden/cinder/recorded.json): an attachment in an answer has no
host; a volume shows the hosts of its completed attachments; a volume in use takes a second attachment for the same
instance only, with its connector at once and not by an update; and only a service deletes one that is connected.
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from lmigrate.ids import new_uuid

PORTAL = "192.0.2.7:3260"


class Refused(Exception):
    """An answer with an error status."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


@dataclass
class FakeCinder:
    """What it holds, what it was asked, and how it misbehaves."""

    volumes: dict[str, dict[str, Any]] = field(default_factory=dict)
    attachments: dict[str, dict[str, Any]] = field(default_factory=dict)
    requests: list[str] = field(default_factory=list)
    fails: set[str] = field(default_factory=set)  # "POST attachments", "POST action" …; "connect": the storage does not answer
    shows_hosts: bool = True  # to admin and service only
    endpoint: str = ""
    driver_volume_type: str = "iscsi"

    def answer(
        self, method: str, path: str, query: dict[str, str], body: dict[str, Any], *, is_service: bool = False
    ) -> tuple[int, dict[str, Any] | None]:
        """Status and body; a service is one that sends X-Service-Token."""
        self._is_service = is_service
        matched = re.fullmatch(r"/v3/(\w+)(?:/([\w-]+))?(?:/(\w+))?", path)
        kind, identity, action = matched.groups() if matched else (path, None, None)
        key = f"{method} {action or kind}"
        self.requests.append(key)
        if key in self.fails:
            raise Refused(500, f"Unable to do that. {key}")
        handler = getattr(self, f"_{method.lower()}_{action or kind}", None)
        if handler is None:
            raise Refused(404, f"no {key}")
        found: tuple[int, dict[str, Any] | None] = handler(identity, query, body)
        return found

    def _post_volumes(self, _: str, __: dict[str, str], body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        volume = {"id": new_uuid(), "status": "available", "size": body["volume"]["size"], "name": body["volume"]["name"]}
        self.volumes[volume["id"]] = volume
        return 202, {"volume": {**volume, "status": "creating", "attachments": []}}

    def _get_volumes(self, identity: str, *_: object) -> tuple[int, dict[str, Any]]:
        volume = self._volume(identity)
        completed = [found for found in self._of(identity) if found["status"] == "attached"]
        shown = [
            {
                "id": identity,
                "attachment_id": found["id"],
                "volume_id": identity,
                "server_id": found["instance"],
                "host_name": found["connector"]["host"] if self.shows_hosts else None,
                "device": "na",
                "attached_at": "2026-11-22T09:28:52.000000",
            }
            for found in completed
        ]
        return 200, {"volume": {**volume, "status": "in-use" if completed else volume["status"], "attachments": shown}}

    def _delete_volumes(self, identity: str, *_: object) -> tuple[int, None]:
        self._volume(identity)
        if self._of(identity):
            raise Refused(400, "Invalid volume: Volume must not be attached")
        del self.volumes[identity]
        return 202, None

    def _post_attachments(self, _: str, __: dict[str, str], body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        asked = body["attachment"]
        self._volume(asked["volume_uuid"])
        if any(found["instance"] != asked["instance_uuid"] for found in self._of(asked["volume_uuid"])):
            raise Refused(400, "Invalid volume: volume is in use")
        row = {"id": new_uuid(), "status": "reserved", "instance": asked["instance_uuid"], "volume_id": asked["volume_uuid"]}
        self.attachments[row["id"]] = {**row, "connector": None}
        if "connect" in self.fails:
            raise Refused(500, "Unable to do that. connect")
        if asked["connector"]:
            self.attachments[row["id"]] |= {"connector": asked["connector"], "status": "attaching"}
        shown = self._detail(row["id"])
        return 200, {"attachment": {**shown, "status": "reserved"}}  # as it was read before the storage was asked

    def _put_attachments(self, identity: str, _: dict[str, str], body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        row = self._attachment(identity)
        if any(other["connector"] for other in self._of(row["volume_id"])):
            raise Refused(409, f"Resource conflict: duplicate connectors detected on volume {row['volume_id']}")
        row |= {"connector": body["attachment"]["connector"], "status": "attaching"}
        return 200, {"attachment": self._detail(identity)}

    def _post_action(self, identity: str, _: dict[str, str], body: dict[str, Any]) -> tuple[int, None]:
        assert list(body) == ["os-complete"]
        self._attachment(identity)["status"] = "attached"
        return 204, None

    def _get_attachments(self, identity: str | None, query: dict[str, str], _: object) -> tuple[int, dict[str, Any]]:
        if identity is not None:
            self._attachment(identity)
            return 200, {"attachment": self._detail(identity)}
        wanted = {"volume_id": query.get("volume_id"), "instance": query.get("instance_id")}
        rows = [row for row in self.attachments.values() if all(value in {None, row[name]} for name, value in wanted.items())]
        return 200, {"attachments": [self._brief(row) for row in rows]}

    def _delete_attachments(self, identity: str, *_: object) -> tuple[int, dict[str, Any]]:
        row = self._attachment(identity)
        if row["connector"] and not self._is_service:  # Cinder asks Nova, and there is none
            raise Refused(500, "The server has either erred or is incapable of performing the requested operation.")
        del self.attachments[identity]
        return 200, {"attachments": [self._brief(other) for other in self._of(row["volume_id"])]}

    def _detail(self, identity: str) -> dict[str, Any]:
        row = self.attachments[identity]
        times = {"attached_at": "2026-11-22T09:28:52.000000", "detached_at": "", "attach_mode": "rw"}
        return {**self._brief(row), **times, "connection_info": self._connection(row) if row["connector"] else {}}

    def _brief(self, row: dict[str, Any]) -> dict[str, Any]:
        return {name: row[name] for name in ("status", "instance", "id", "volume_id")}

    def _connection(self, row: dict[str, Any]) -> dict[str, Any]:
        """As the LVM driver answers, `data` and `driver_volume_type` side by side; the password is made for each attachment."""
        return {
            "driver_volume_type": self.driver_volume_type,
            "target_discovered": False,
            "target_portal": PORTAL,
            "target_iqn": f"iqn.2010-10.org.openstack:volume-{row['volume_id']}",
            "target_lun": 1,
            "volume_id": row["volume_id"],
            "auth_method": "CHAP",
            "auth_username": f"user-{row['id'][:8]}",
            "auth_password": f"chap-{row['id'][-12:]}",
            "access_mode": "rw",
            "attachment_id": row["id"],
        }

    def _of(self, volume_id: str) -> list[dict[str, Any]]:
        return [row for row in self.attachments.values() if row["volume_id"] == volume_id]

    def _volume(self, identity: str) -> dict[str, Any]:
        if identity not in self.volumes:
            raise Refused(404, f"Volume {identity} could not be found.")
        return self.volumes[identity]

    def _attachment(self, identity: str) -> dict[str, Any]:
        if identity not in self.attachments:
            raise Refused(404, f"Volume attachment could not be found with filter: attachment_id = {identity}.")
        return self.attachments[identity]


@contextmanager
def serving(cinder: FakeCinder) -> Iterator[FakeCinder]:
    """Serve it on a free port of this machine."""

    class Handler(BaseHTTPRequestHandler):
        def _handle(self) -> None:
            parts = urlsplit(self.path)
            length = int(self.headers.get("Content-Length") or 0)
            body = json.loads(self.rfile.read(length) or b"{}")
            assert self.headers["OpenStack-API-Version"] == "volume 3.44"
            try:
                query = {name: values[0] for name, values in parse_qs(parts.query).items()}
                status, found = cinder.answer(self.command, parts.path, query, body, is_service="X-Service-Token" in self.headers)
            except Refused as refused:
                status, found = refused.status, {"fault": {"code": refused.status, "message": str(refused)}}
            content = b"" if found is None else json.dumps(found).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("OpenStack-API-Version", "volume 3.44")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = do_PUT = do_DELETE = _handle  # noqa: N815 - names of http.server

        def log_message(self, *_: object) -> None:
            """Keep the tests' output clean."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        cinder.endpoint = f"http://127.0.0.1:{server.server_port}/v3"
        try:
            yield cinder
        finally:
            server.shutdown()
            thread.join()
