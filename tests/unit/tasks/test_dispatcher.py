"""What is sent over the broker: names, queues, ids; one errback, routed to the conductor."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

import pytest

SEND = """
import json, sys
from lmigrate.migration.dispatch import Address, ObserveMessage, StepMessage, UndoMessage
from lmigrate.migration.steps.base import Side
from tasks.app import app
from tasks.dispatcher import CeleryDispatcher

source, long, destination = Address("node5"), Address("node5", is_long=True), Address("node6")
dispatcher = CeleryDispatcher()
dispatcher.send_steps([StepMessage("check_destination", 7, 2, destination), StepMessage("check_source", 7, 2, source),
                       StepMessage("migrate", 7, 2, long)])
dispatcher.send_undo([UndoMessage("check_destination", 7, 2, destination)], 7, 2)
dispatcher.send_observe([ObserveMessage(Side.SOURCE, 7, 0, source)], 7, 3)
dispatcher.send_rollback(7, 2)

sent = []
with app.connection_for_read() as connection:
    for name in ("host.node6", "host.node5", "conductor"):
        queue = connection.SimpleQueue(name)
        while queue.qsize():
            message = queue.get()
            args, kwargs, embed = message.payload
            sent.append({"queue": name, "task": message.headers["task"], "args": args, "kwargs": kwargs,
                         "chain": embed["chain"], "errbacks": embed["errbacks"]})
print(json.dumps(sent))
"""


@pytest.fixture(scope="module")
def sent() -> list[dict[str, Any]]:
    """The messages, as they lie in the queues."""
    environment = {**os.environ, "LMIGRATE_BROKER__URL": "memory://"}
    done = subprocess.run([sys.executable, "-c", SEND], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return list(json.loads(done.stdout))


def links(message: dict[str, Any]) -> list[tuple[str, str, list[Any]]]:
    """(task, queue, arguments) of the message and of what follows it."""
    rest = [(link["task"], link["options"]["queue"], link["args"]) for link in reversed(message["chain"] or [])]
    return [(message["task"], message["queue"], message["args"]), *rest]


def test_a_chain_of_steps(sent: list[dict[str, Any]]) -> None:
    assert links(sent[0]) == [
        ("lmigrate.check_destination", "host.node6", [7, 2]),
        ("lmigrate.check_source", "host.node5", [7, 2]),
        ("lmigrate.migrate", "host.node5.migrate", [7, 2]),
    ]
    # every link has the one errback, and it goes to the conductor
    for errbacks in [sent[0]["errbacks"], *(link["options"]["link_error"] for link in sent[0]["chain"])]:
        assert [(errback["task"], errback["options"]["queue"], errback["args"], errback["immutable"]) for errback in errbacks] == [
            ("lmigrate.rollback", "conductor", [7, 2], True),
        ]


def test_undos_end_at_the_conductor(sent: list[dict[str, Any]]) -> None:
    assert links(sent[1]) == [("lmigrate.undo.check_destination", "host.node6", [7, 2]), ("lmigrate.rolled_back", "conductor", [7, 2])]
    assert not sent[1]["errbacks"]


def test_looks_end_in_a_decision(sent: list[dict[str, Any]]) -> None:
    assert links(sent[2]) == [("lmigrate.observe", "host.node5", ["source", 7, 3]), ("lmigrate.decide", "conductor", [7, 3])]


def test_the_errback_alone(sent: list[dict[str, Any]]) -> None:
    assert links(sent[3]) == [("lmigrate.rollback", "conductor", [7, 2])]


def test_arguments_are_ids_and_nothing_is_passed_on(sent: list[dict[str, Any]]) -> None:
    for message in sent:
        assert message["kwargs"] == {}
        assert all(link["immutable"] and link["kwargs"] == {} for link in message["chain"] or [])
