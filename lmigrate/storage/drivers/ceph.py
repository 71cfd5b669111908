"""The commands `rbd` and `ceph`, and what they say of users and sessions.  Their JSON is that of Ceph 16."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lmigrate import shell
from lmigrate.shell import CommandFailed

_TIMEOUT_S = 30.0
#: `rbd` exits with the errno: ENOENT
_ABSENT = "exit 2:"


@dataclass(frozen=True)
class Session:
    """One client that a monitor knows.  Clients keep a session with a monitor for as long as they live."""

    client_id: int  # Ceph: global_id; `rbd status` names a watcher by it
    entity: str  # client.NAME
    address: str  # address:port/nonce, as `osd blocklist` takes it


@dataclass(frozen=True)
class Ceph:
    """One cluster, as one of its users.  Every method raises CommandFailed."""

    conf: Path
    user: str  # without client.

    def rbd(self, *words: str) -> str:
        """What the command prints."""
        return self._run("rbd", words)

    def rbd_if_there(self, *words: str) -> str | None:
        """None if the image, or what was asked of it, does not exist."""
        try:
            return self.rbd(*words)
        except CommandFailed as error:
            if str(error.fields["reason"]).startswith(_ABSENT):
                return None
            raise

    def admin(self, *words: str, stdin: str = "") -> str:
        """What the command `ceph` prints."""
        return self._run("ceph", words, stdin)

    def users(self) -> dict[str, str]:
        """Every user (client.NAME), and what it may do with OSDs."""
        entries = json.loads(self.admin("auth", "ls", "--format", "json"))["auth_dump"]
        return {str(entry["entity"]): str(entry["caps"].get("osd", "")) for entry in entries}

    def watchers(self, image: str) -> dict[int, str]:
        """Clients that have the image open, and their addresses; none if there is no image."""
        text = self.rbd_if_there("status", "--format", "json", image)
        watchers: list[dict[str, Any]] = json.loads(text or "{}").get("watchers", [])
        return {int(watcher["client"]): str(watcher["address"]) for watcher in watchers}

    def sessions(self) -> list[Session]:
        """The clients of every monitor in the quorum."""
        monitors: list[str] = json.loads(self.admin("quorum_status", "--format", "json"))["quorum_names"]
        told = [json.loads(self.admin("tell", f"mon.{name}", "sessions")) for name in monitors]
        return [_session(entry) for entries in told for entry in entries if entry["con_type"] == "client"]

    def blocklist(self, address: str) -> None:
        """End a client: what it sends from now on is refused."""
        self.admin("osd", "blocklist", "add", address)

    def _run(self, program: str, words: tuple[str, ...], stdin: str = "") -> str:
        return shell.run([program, "--conf", str(self.conf), "--id", self.user, *words], timeout_s=_TIMEOUT_S, stdin=stdin)


def _session(entry: dict[str, Any]) -> Session:
    socket = entry["socket_addr"]
    return Session(int(entry["global_id"]), str(entry["entity_name"]), f"{socket['addr']}/{socket['nonce']}")
