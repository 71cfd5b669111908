"""How often one may ask."""

from __future__ import annotations

import pytest

from api.limits import Limits
from api.refusals import OverLimit
from lmigrate.config import ApiSettings, TlsSettings
from lmigrate.states import Role
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


def test_a_shared_counter_that_is_away_does_not_shut_anybody_out() -> None:
    alone = Limits(ApiSettings(caller_rate="2/hour", rate_storage="redis://127.0.0.1:1/0"), TlsSettings())
    for _ in range(2):
        alone.count("caller", "ann")
    with pytest.raises(OverLimit):
        alone.count("caller", "ann")


def test_processes_count_together_in_redis(redis_url: str) -> None:
    options = ApiSettings(caller_rate="2/hour", rate_storage=redis_url.replace("redis+socket", "redis+unix"))
    one, other = Limits(options, TlsSettings()), Limits(options, TlsSettings())
    one.count("caller", "ann")
    other.count("caller", "ann")
    with pytest.raises(OverLimit):
        one.count("caller", "ann")
