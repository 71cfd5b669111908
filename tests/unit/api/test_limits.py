"""How often one may ask."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from api import limits as limits_module
from api.limits import ALONE_S, Limits, storage_options
from api.refusals import OverLimit
from lmigrate import clock
from lmigrate.config import ApiSettings, TlsSettings
from lmigrate.deadline import MAX_HANGING
from lmigrate.states import Role
from tests.slow_server import slow_wire
from tests.unit.api.conftest import Guarded


def test_one_caller_more_often_than_permitted_is_told_when_to_come_back(guarded: Guarded) -> None:
    guarded.set(api__caller_rate="3/hour")
    ann, bob = guarded.token(Role.READER, "ann"), guarded.token(Role.READER, "bob")
    assert [guarded.call("GET", "/v2.1/servers", ann).status_code for _ in range(4)] == [200, 200, 200, 429]
    refused = guarded.call("GET", "/v2.1/servers", ann)
    assert refused.json is not None
    assert refused.json["overLimit"]["code"] == 429
    assert 1 <= int(refused.headers["Retry-After"]) <= 3600
    assert guarded.call("GET", "/v1/hosts", ann).mimetype == "application/problem+json"
    assert guarded.call("GET", "/v2.1/servers", bob).status_code == 200


def test_logging_in_counts_for_the_caller_who_logs_in(guarded: Guarded) -> None:
    guarded.set(api__caller_rate="2/hour")
    secret = guarded.token(Role.READER, "ann")
    login = {"auth": {"identity": {"methods": ["token"], "token": {"id": secret}}}}
    assert [guarded.call("POST", "/identity/v3/auth/tokens", json=login).status_code for _ in range(3)] == [201, 201, 429]
    assert guarded.call("GET", "/v1/caller", secret).status_code == 429


def test_one_address_more_often_than_permitted(guarded: Guarded) -> None:
    guarded.set(api__address_rate="2/hour")
    assert [guarded.call("GET", "/v2.1/servers").status_code for _ in range(3)] == [401, 401, 429]
    assert guarded.call("GET", "/v2.1/servers", environ_base={"REMOTE_ADDR": "192.0.2.7"}).status_code == 401


def test_who_guesses_is_slowed_down_wherever_they_try(guarded: Guarded) -> None:
    guarded.set(api__failure_rate="2/hour")
    secret = guarded.token()
    assert guarded.call("GET", "/v1/caller", "wrong").status_code == 401
    login = {"auth": {"identity": {"methods": ["token"], "token": {"id": "wrong"}}}}
    assert guarded.call("POST", "/identity/v3/auth/tokens", json=login).status_code == 401
    assert guarded.call("GET", "/v1/caller", "wrong").status_code == 429
    assert guarded.call("POST", "/identity/v3/auth/tokens", json=login).status_code == 429
    assert guarded.call("GET", "/v1/caller", secret, environ_base={"REMOTE_ADDR": "192.0.2.7"}).status_code == 200


def test_who_is_refused_leaves_a_trace_whatever_they_ask(guarded: Guarded) -> None:
    guarded.set(api__failure_rate="1/hour")
    with capture_logs() as told:
        assert [guarded.call("GET", "/v1/caller", "wrong").status_code for _ in range(3)] == [401, 429, 429]
    kept = [
        {name: value for name, value in entry.items() if name in {"event", "address", "method", "path", "kind", "who"}} for entry in told
    ]
    assert {"event": "wrong credentials", "address": "127.0.0.1", "method": "GET", "path": "/v1/caller"} in kept
    assert [entry for entry in kept if entry["event"] == "too many requests"] == [
        {"event": "too many requests", "kind": "failure", "who": "127.0.0.1"}
    ]
    assert "wrong" not in {str(value) for entry in told for value in entry.values()}


def test_a_shared_counter_that_is_away_does_not_shut_anybody_out() -> None:
    alone = Limits(ApiSettings(caller_rate="2/hour", rate_storage="redis://127.0.0.1:1/0"), TlsSettings())
    for _ in range(2):
        alone.count("caller", "ann")
    with pytest.raises(OverLimit):
        alone.count("caller", "ann")


def connections(listener: socket.socket) -> int:
    """How many are waiting to be accepted."""
    listener.setblocking(False)
    found = 0
    with suppress(BlockingIOError):
        while True:
            listener.accept()[0].close()
            found += 1
    return found


def test_a_shared_counter_that_hangs_is_left_alone_for_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    now_s = [1000.0]
    monkeypatch.setattr(clock, "monotonic_s", lambda: now_s[0])
    with socket.create_server(("127.0.0.1", 0)) as hanging:
        url = f"redis://127.0.0.1:{hanging.getsockname()[1]}/0"
        limits = Limits(ApiSettings(caller_rate="3/hour", rate_storage=url), TlsSettings())
        limits.count("caller", "ann")
        assert connections(hanging) == 1
        limits.count("caller", "ann")
        assert not limits.is_exhausted("caller", "ann")
        assert connections(hanging) == 0
        now_s[0] += ALONE_S
        limits.count("caller", "ann")
        assert connections(hanging) == 1
        with pytest.raises(OverLimit):
            limits.count("caller", "ann")
        assert connections(hanging) == 0


def test_a_shared_counter_that_is_slow_is_left_alone_for_a_while(redis_url: str) -> None:
    """Each of its answers comes in time, all of them together do not."""
    with slow_wire(redis_url.removeprefix("redis+socket://"), 0.3) as wire:
        limits = Limits(ApiSettings(caller_rate="1/hour", rate_storage=f"redis://127.0.0.1:{wire.port}/0"), TlsSettings())
        with capture_logs() as told:
            limits.count("caller", "ann")
        assert [entry["error"] for entry in told] == ["Overdue"]
        with pytest.raises(OverLimit):
            limits.count("caller", "ann")


def test_a_shared_counter_that_hangs_for_ever_keeps_few_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    now_s, gate, asked = [1000.0], threading.Event(), threading.Semaphore(0)

    def hit(*_key: object) -> bool:
        asked.release()
        return gate.wait(60)

    monkeypatch.setattr(clock, "monotonic_s", lambda: now_s[0])
    monkeypatch.setattr(limits_module, "PATIENCE_S", 0.01)
    limits = Limits(ApiSettings(caller_rate="100/hour", rate_storage="redis://127.0.0.1:1/0"), TlsSettings())
    monkeypatch.setattr(limits._shared, "hit", hit)
    with capture_logs() as told:
        for _ in range(MAX_HANGING + 2):
            limits.count("caller", "ann")
            now_s[0] += ALONE_S
    for _ in range(MAX_HANGING):
        assert asked.acquire(timeout=60)
    assert not asked.acquire(blocking=False)
    assert [entry["error"] for entry in told] == ["Overdue"] * MAX_HANGING + ["StillHanging"] * 2
    gate.set()


def test_a_shared_counter_is_not_waited_for_long() -> None:
    options = storage_options("rediss://r/0", TlsSettings(ca_file=Path("/ca.pem")))
    assert options == {"socket_timeout": 0.5, "socket_connect_timeout": 0.5, "ssl_ca_certs": "/ca.pem"}
    assert storage_options("redis+unix:///r.sock", TlsSettings(ca_file=Path("/ca.pem"))).keys() == {
        "socket_timeout",
        "socket_connect_timeout",
    }
    assert storage_options("memory://", TlsSettings()) == {}


def test_processes_count_together_in_redis(redis_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits_module, "PATIENCE_S", 60)
    options = ApiSettings(caller_rate="2/hour", rate_storage=redis_url.replace("redis+socket", "redis+unix"))
    one, other = Limits(options, TlsSettings()), Limits(options, TlsSettings())
    one.count("caller", "ann")
    other.count("caller", "ann")
    with pytest.raises(OverLimit):
        one.count("caller", "ann")
