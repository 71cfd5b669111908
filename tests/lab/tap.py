"""A tap at the lab's Redis: hears every message that is put into a queue, and can put one there again."""

from __future__ import annotations

import ast
import base64
import json
import re
import threading
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

import redis

from lmigrate.lab.topology import Lab

_PREFIX = "lm:"
_WORD = re.compile(rb'"(?:[^"\\]|\\.)*"')
#: of the beat: not a migration's
_PERIODIC = {"lmigrate.reconcile", "lmigrate.sweep_storage"}


@dataclass(frozen=True)
class Sent:
    """One message as it went into its queue."""

    queue: str
    body: bytes

    @property
    def task(self) -> str:
        """The task's name."""
        return str(json.loads(self.body)["headers"]["task"])

    @property
    def arguments(self) -> list[Any]:
        """Ids, attempts and rounds."""
        found: list[Any] = json.loads(base64.b64decode(json.loads(self.body)["body"]))[0]
        return found


class Tap:
    """Listens while it is open.

    Attributes:
        heard: the messages of migrations, in order.
        heed: called for each, from a thread.
    """

    def __init__(self, lab: Lab) -> None:
        self.redis = redis.Redis(unix_socket_path=str(lab.paths.redis_socket), password=lab.state.redis_password, socket_timeout=30)
        self.heard: list[Sent] = []
        self.heed: Callable[[Sent], None] = lambda _sent: None
        self._over = threading.Event()

    def __enter__(self) -> Self:
        self._monitor = self.redis.monitor()  # type: ignore[no-untyped-call]  # redis-py has no types there
        self._monitor.__enter__()
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, _type: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None) -> None:
        self._over.set()
        self.redis.ping()  # the monitor hears that, and looks
        self._thread.join(30)
        self._monitor.__exit__(None, None, None)
        self.redis.close()

    def send(self, sent: Sent) -> None:
        """Put it into its queue again."""
        self.redis.lpush(sent.queue, sent.body)

    def waiting(self, *hosts: str) -> int:
        """How many messages nobody has taken yet."""
        queues = ["conductor", *(f"host.{host}{kind}" for host in hosts for kind in ("", ".migrate"))]
        return sum(int(self.redis.llen(f"{_PREFIX}{queue}")) for queue in queues)

    def _listen(self) -> None:
        while not self._over.is_set():
            line = self._monitor.connection.read_response(disable_decoding=True)
            words = [ast.literal_eval(f"b{word.decode('latin-1')}") for word in _WORD.findall(line)]
            if len(words) == 3 and words[0].upper() == b"LPUSH" and words[1].startswith(_PREFIX.encode()):
                self._hear(Sent(words[1].decode(), words[2]))

    def _hear(self, sent: Sent) -> None:
        if sent.task.startswith("lmigrate.") and sent.task not in _PERIODIC:
            self.heard.append(sent)
            self.heed(sent)
