"""The commands `rbd` and `ceph` of a cluster in memory.  Their answers have the shapes of Ceph 16's own (--format json)."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from dataclasses import dataclass, field

from lmigrate.shell import CommandFailed

KEY_HEADER = b"\x01\x00"  # of a CephX key: its type


@dataclass
class FakeCeph:
    """Images, users, watchers; every command line that it was given."""

    pool: str
    images: dict[str, int] = field(default_factory=dict)  # pool/image → bytes
    metadata: dict[str, dict[str, str]] = field(default_factory=dict)
    users: dict[str, dict[str, str]] = field(default_factory=dict)  # entity → key, caps
    watchers: dict[str, list[str]] = field(default_factory=dict)  # addresses
    sessions: dict[str, str] = field(default_factory=dict)  # address → entity, of clients that a monitor knows
    blocklist: list[str] = field(default_factory=list)
    commands: list[list[str]] = field(default_factory=list)
    is_away: bool = False

    def run(self, argv: Sequence[str], *, timeout_s: float = 0.0, hidden: Sequence[str] = (), stdin: str = "") -> str:
        """In place of `shell.run`."""
        del timeout_s, hidden
        self._stdin = stdin
        words = list(argv)
        self.commands.append(words)
        if self.is_away:
            raise CommandFailed(command=" ".join(words), reason="no end within 30 s")
        assert words[1::2][:2] == ["--conf", "--id"], words
        rest = [word for word in words[5:] if word not in {"--format", "json", "--no-progress"}]
        handler = getattr(self, "_" + "_".join([words[0], *(word.replace("-", "_") for word in rest[: self._depth(words[0], rest)])]))
        return str(handler(words, *rest[self._depth(words[0], rest) :]))

    def _depth(self, program: str, rest: list[str]) -> int:
        return (
            {"auth": 2, "osd": 3, "image-meta": 2, "quorum_status": 1, "tell": 1}.get(rest[0], 1)
            if program == "ceph" or rest[0] == "image-meta"
            else 1
        )

    def _rbd_create(self, words: list[str], _: str, size: str, name: str) -> str:
        if name in self.images:
            raise self._failed(words, 17, f"rbd: create error: (17) File exists {name}")
        assert size.endswith("M")
        self.images[name] = int(size[:-1]) << 20
        self.metadata[name] = {}
        return ""

    def _rbd_rm(self, words: list[str], name: str) -> str:
        self._require(words, name)
        if self.watchers.get(name):
            raise self._failed(words, 16, "rbd: error: image still has watchers")
        del self.images[name]
        return ""

    def _rbd_info(self, words: list[str], name: str) -> str:
        self._require(words, name)
        size = self.images[name]
        shape = {"name": name.split("/")[1], "id": "10e2a1c0f5b6", "size": size, "objects": size >> 22, "order": 22, "object_size": 4 << 20}
        return json.dumps({**shape, "block_name_prefix": "rbd_data.10e2a1c0f5b6", "format": 2, "features": ["layering"], "flags": []})

    def _rbd_status(self, words: list[str], name: str) -> str:
        self._require(words, name)
        shown = [
            {"address": address, "client": client_id(address), "cookie": 18446462598732840961} for address in self.watchers.get(name, [])
        ]
        return json.dumps({"watchers": shown})

    def _rbd_image_meta_set(self, words: list[str], name: str, key: str, value: str) -> str:
        self._require(words, name)
        self.metadata[name][key] = value
        return ""

    def _rbd_image_meta_list(self, words: list[str], name: str) -> str:
        self._require(words, name)
        return json.dumps(self.metadata[name])

    def _rbd_image_meta_remove(self, words: list[str], name: str, key: str) -> str:
        self._require(words, name)
        if key not in self.metadata[name]:
            raise self._failed(words, 2, "failed to remove metadata: (2) No such file or directory")
        del self.metadata[name][key]
        return ""

    def _ceph_auth_get_or_create(self, words: list[str], entity: str, *capabilities: str) -> str:
        given = dict(zip(capabilities[::2], capabilities[1::2], strict=True))
        key = base64.b64encode(KEY_HEADER + f"{len(self.commands):>26}".encode()).decode()
        user = self.users.setdefault(entity, {"key": key, **given})
        if {name: value for name, value in user.items() if name != "key"} != given:
            raise self._failed(words, 22, f"Error EINVAL: key for {entity} exists but cap mon does not match")
        return json.dumps([{"entity": entity, "key": user["key"], "caps": given}])

    def _ceph_auth_rm(self, _: list[str], entity: str) -> str:
        self.users.pop(entity, None)  # Ceph says "updated" or "does not exist" on stderr, and exits 0
        return ""

    def _ceph_auth_ls(self, _: list[str]) -> str:
        shown = [{"entity": entity, "key": user["key"], "caps": {"osd": user["osd"]}} for entity, user in self.users.items()]
        return json.dumps({"auth_dump": [{"entity": "client.admin", "key": "AQ==", "caps": {"mon": "allow *"}}, *shown]})

    def _ceph_auth_import(self, _: list[str], *options: str) -> str:
        assert options == ("-i", "-")
        head, *lines = self._stdin.splitlines()
        values = dict(line.strip().removeprefix("caps ").split(" = ", 1) for line in lines)
        self.users[head.strip("[]")] = {name: value.strip('"') for name, value in values.items()}
        return ""

    def _ceph_quorum_status(self, _: list[str]) -> str:
        return json.dumps({"quorum_names": ["a"]})

    def _ceph_tell(self, _: list[str], monitor: str, what: str) -> str:
        assert (monitor, what) == ("mon.a", "sessions")
        return json.dumps([{"con_type": "mon", "entity_name": ""}, *(_session(*pair) for pair in self.sessions.items())])

    def _ceph_osd_blocklist_add(self, _: list[str], address: str) -> str:
        self.blocklist.append(address)
        for name, addresses in self.watchers.items():
            self.watchers[name] = [watcher for watcher in addresses if watcher != address]
        return ""

    def _require(self, words: list[str], name: str) -> None:
        if name not in self.images:
            raise self._failed(words, 2, f"rbd: error opening image {name}: (2) No such file or directory")

    def _failed(self, words: list[str], code: int, text: str) -> CommandFailed:
        return CommandFailed(command=" ".join(words), reason=f"exit {code}: {text}")


def client_id(address: str) -> int:
    """Ceph's number of a client."""
    return 4000 + int(address.rpartition("/")[2])


def _session(address: str, entity: str) -> dict[str, object]:
    where, _, nonce = address.rpartition("/")
    shown = {"type": "v1", "addr": where, "nonce": int(nonce)}
    return {"con_type": "client", "entity_name": entity, "global_id": client_id(address), "socket_addr": shown}
