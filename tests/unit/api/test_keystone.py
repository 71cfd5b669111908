"""A real Keystone's own middleware stands in front, against a Keystone of the tests."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from flask import request

from api.app import create_app
from api.keystone import KeystoneUnusable
from lmigrate.config import settings
from lmigrate.states import Role
from tests.fakes.keystone import SERVICE, SERVICE_PASSWORD, keystone
from tests.served import served
from tests.unit.api.conftest import Guarded

#: keystonemiddleware's webob imports it
pytestmark = pytest.mark.filterwarnings("ignore:'cgi' is deprecated:DeprecationWarning")

CALLERS = {"k-reader": ["member", "reader"], "k-both": ["reader", "admin"], "k-none": ["member"], "k-op": ["operator"]}


ASKED: list[str] = []


@pytest.fixture(scope="module")
def keystone_url() -> Iterator[str]:
    app = keystone(CALLERS)
    app.before_request(lambda: ASKED.append(request.headers.get("X-Subject-Token", "")))
    with served(app) as url:
        yield url


@pytest.fixture
def with_keystone(guarded: Guarded, keystone_url: str) -> Guarded:
    options = {
        "auth_type": "password",
        "auth_url": f"{keystone_url}/v3",
        "www_authenticate_uri": f"{keystone_url}/v3",
        "username": SERVICE,
        "password": SERVICE_PASSWORD,
        "project_name": "service",
        "user_domain_id": "default",
        "project_domain_id": "default",
    }
    guarded.set(auth__mode="keystone", auth__keystone=json.dumps(options))
    return guarded


def who(guarded: Guarded, token: str, **headers: str) -> tuple[int, object]:
    answer = guarded.call("GET", "/v1/caller", headers={"X-Auth-Token": token, **headers})
    shown = answer.json or {}
    return answer.status_code, (shown.get("user"), shown.get("project"), shown.get("role"))


def test_keystone_vouches_for_its_own(with_keystone: Guarded) -> None:
    assert who(with_keystone, "k-reader") == (200, ("user-of-k-reader", "project-1", "reader"))
    assert who(with_keystone, "k-both") == (200, ("user-of-k-both", "project-1", "admin"))
    assert who(with_keystone, "k-unknown")[0] == 401
    forbidden = with_keystone.call("GET", "/v1/tokens", headers={"X-Auth-Token": "k-op"})
    assert forbidden.status_code == 403


def test_somebody_without_a_role_that_means_anything_is_forbidden(with_keystone: Guarded) -> None:
    assert who(with_keystone, "k-none")[0] == 403


def test_roles_may_be_called_otherwise(with_keystone: Guarded) -> None:
    with_keystone.set(auth__keystone_roles='{"member": "operator"}')
    assert who(with_keystone, "k-none") == (200, ("user-of-k-none", "project-1", "operator"))
    assert who(with_keystone, "k-op")[0] == 403


def test_our_own_tokens_go_on_working(with_keystone: Guarded) -> None:
    secret = with_keystone.token(Role.ADMIN, "ann")
    assert who(with_keystone, secret) == (200, ("ann", "admin", "admin"))


def test_what_only_says_that_it_comes_from_keystone_is_not_believed(with_keystone: Guarded) -> None:
    forged = {"X-Identity-Status": "Confirmed", "X-Roles": "admin", "X-User-Id": "eve", "X-User-Name": "eve"}
    assert who(with_keystone, "lmt_forged", **forged)[0] == 401
    assert who(with_keystone, "k-unknown", **forged)[0] == 401
    assert who(with_keystone, "k-reader", **forged) == (200, ("user-of-k-reader", "project-1", "reader"))
    assert with_keystone.call("GET", "/v1/caller", headers=forged).status_code == 401


def test_who_guesses_is_slowed_down_and_keystone_is_not_asked_for_them(with_keystone: Guarded) -> None:
    with_keystone.set(api__failure_rate="2/hour")
    assert [who(with_keystone, f"guess-{number}")[0] for number in range(4)] == [401, 401, 429, 429]
    assert who(with_keystone, "k-reader")[0] == 429
    assert {"guess-0", "guess-1"} == {token for token in ASKED if token.startswith("guess")}


def test_keystone_is_not_asked_for_an_address_that_asks_too_often(with_keystone: Guarded) -> None:
    with_keystone.set(api__address_rate="2/hour")
    assert [who(with_keystone, f"often-{number}")[0] for number in range(4)] == [401, 401, 429, 429]
    assert {"often-0", "often-1"} == {token for token in ASKED if token.startswith("often")}


def test_a_keystone_that_cannot_be_asked_is_a_wrong_setting(database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LMIGRATE_AUTH__MODE", "keystone")
    settings.cache_clear()
    with pytest.raises(KeystoneUnusable, match="does not say how"):
        create_app()
