"""The fake Cinder answers as a real one did: the recorded requests once more, status and shape compared."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.fakes.cinder import FakeCinder, Refused

RECORDED = Path(__file__).parents[1] / "golden/cinder/recorded.json"
_KINDS = ("volume", "attachment")


class Replay:
    """Asks the fake what the real one was asked; ids are the fake's own."""

    def __init__(self) -> None:
        self.cinder = FakeCinder()
        self._ids: dict[str, str] = {}

    def ask(self, exchange: dict[str, Any]) -> tuple[int, Any]:
        asked = json.dumps([exchange["path"], exchange["request"] or {}])
        for theirs, ours in self._ids.items():
            asked = asked.replace(theirs, ours)
        path, body = json.loads(asked)
        parts = urlsplit(f"/v3{path}")
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        try:
            status, answer = self.cinder.answer(exchange["method"], parts.path, query, body, is_service=exchange["is_service"])
        except Refused as refused:
            return refused.status, None
        self._learn(exchange["answer"] or {}, answer or {})
        return status, answer

    def _learn(self, theirs: dict[str, Any], ours: dict[str, Any]) -> None:
        for kind in _KINDS:
            if kind in theirs:
                self._ids[theirs[kind]["id"]] = ours[kind]["id"]


def assert_alike(ours: Any, theirs: Any, where: str) -> None:
    """What the fake says the real one said, too; the real one may say more."""
    assert type(ours) is type(theirs) or theirs is None, f"{where}: {ours!r}, recorded {theirs!r}"
    if isinstance(ours, dict):
        for name, value in ours.items():
            assert name in theirs, f"{where} has no {name}"
            assert_alike(value, theirs[name], f"{where}.{name}")
    elif isinstance(ours, list):
        assert len(ours) == len(theirs), where
        for number, (mine, recorded) in enumerate(zip(ours, theirs, strict=True)):
            assert_alike(mine, recorded, f"{where}[{number}]")


def test_the_fake_answers_as_the_real_one_did(subtests: pytest.Subtests) -> None:
    replay = Replay()
    for exchange in json.loads(RECORDED.read_text()):
        status, answer = replay.ask(exchange)
        with subtests.test(exchange["name"]):
            assert status == exchange["status"]
            if answer is not None:
                assert_alike(answer, exchange["answer"], exchange["name"])
                assert _states(answer) == _states(exchange["answer"])


def _states(answer: dict[str, Any]) -> list[str]:
    """The states in an answer; a new volume's depends on when it is asked for."""
    shown = [answer[kind] for kind in _KINDS if kind in answer] + answer.get("attachments", [])
    return sorted(str(entry["status"]) for entry in shown)
