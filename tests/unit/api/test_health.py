import threading

import pytest
from flask.testing import FlaskClient

from lmigrate.db import availability
from lmigrate.deadline import MAX_HANGING, Patience
from tasks import broker
from tasks.app import app as celery_app


def test_healthz_needs_nothing(client: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    assert client.get("/healthz").json == {"status": "ok"}


@pytest.mark.parametrize(("missing", "module"), [("database", availability), ("broker", broker)])
def test_readyz_says_what_is_missing(client: FlaskClient, monkeypatch: pytest.MonkeyPatch, missing: str, module: object) -> None:
    monkeypatch.setattr(availability, "why_unavailable", lambda: None)
    monkeypatch.setattr(broker, "why_unavailable", lambda: None)
    assert client.get("/readyz").status_code == 200
    monkeypatch.setattr(module, "why_unavailable", lambda: "it is away")
    answer = client.get("/readyz")
    assert answer.status_code == 503
    assert answer.json == {"status": "unavailable", "checks": {"database": "ok", "broker": "ok"} | {missing: "it is away"}}


def test_looks_at_a_broker_that_hangs_keep_few_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    gate, asked = threading.Event(), threading.Semaphore(0)

    def ask() -> None:
        asked.release()
        gate.wait(60)

    monkeypatch.setattr(broker, "_DEADLINE_S", 0.01)
    monkeypatch.setattr(broker, "_PATIENCE", Patience("a look at the broker"))
    monkeypatch.setattr(broker, "_ask", ask)
    told = [broker.why_unavailable() for _ in range(MAX_HANGING + 2)]
    for _ in range(MAX_HANGING):
        assert asked.acquire(timeout=60)
    assert not asked.acquire(blocking=False)
    assert ["was not tried" in str(reason) for reason in told] == [False] * MAX_HANGING + [True] * 2
    gate.set()


def test_a_broker_that_is_away_is_told_without_its_password(broker_away: None) -> None:
    reason = broker.why_unavailable()
    assert reason is not None
    assert "hunter2" not in reason


@pytest.fixture
def broker_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(celery_app.conf, "broker_url", "redis+socket://:hunter2@/nowhere/redis.sock")
    monkeypatch.setitem(celery_app.conf, "broker_write_url", "redis+socket://:hunter2@/nowhere/redis.sock")
