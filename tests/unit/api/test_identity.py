"""The small Keystone: what OpenStack's clients ask before they come to Nova."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from werkzeug.test import TestResponse

from lmigrate.access import tokens
from lmigrate.db.clock import utcnow
from lmigrate.states import Role
from tests.unit.api.conftest import Guarded

LOGIN = "/identity/v3/auth/tokens"


def password(name: str, secret: str) -> dict[str, Any]:
    user = {"name": name, "password": secret, "domain": {"id": "default"}}
    return {"identity": {"methods": ["password"], "password": {"user": user}}}


def log_in(guarded: Guarded, auth: object) -> TestResponse:
    return guarded.call("POST", LOGIN, json={"auth": auth})


def test_versions_are_where_clients_look(guarded: Guarded) -> None:
    listed, shown = guarded.call("GET", "/identity"), guarded.call("GET", "/identity/v3/")
    assert (listed.status_code, shown.status_code) == (300, 200)
    assert listed.json is not None
    assert shown.json is not None
    assert listed.json["versions"]["values"] == [shown.json["version"]]
    assert shown.json["version"]["links"] == [{"rel": "self", "href": "http://localhost/identity/v3/"}]
    image = guarded.call("GET", "/image").json
    assert image is not None
    assert image["versions"][0]["links"][0]["href"] == "http://localhost/image/v2/"


def test_all_methods_give_a_session_of_the_same_owner(guarded: Guarded) -> None:
    secret = guarded.token(Role.OPERATOR, "ann")
    own = tokens.authenticate(secret)
    assert own is not None
    scope = {"project": {"name": "admin", "domain": {"id": "default"}}}
    credential = {"methods": ["application_credential"], "application_credential": {"id": own.uuid, "secret": secret}}
    ways = [
        password("ann", secret) | {"scope": scope},
        {"identity": {"methods": ["token"], "token": {"id": secret}}, "scope": {"project": {"id": "admin"}}},
        {"identity": credential},
        password("ann", secret) | {"scope": "unscoped"},
    ]
    for auth in ways:
        answer = log_in(guarded, auth)
        assert answer.status_code == 201, answer.json
        assert answer.json is not None
        session, token = answer.headers["X-Subject-Token"], answer.json["token"]
        assert session != secret
        assert (token["user"]["name"], token["project"]["name"], token["roles"][0]["name"]) == ("ann", "admin", "operator")
        assert {entry["type"]: entry["endpoints"][0]["url"] for entry in token["catalog"]} == {
            "compute": "http://localhost/v2.1",
            "identity": "http://localhost/identity",
            "image": "http://localhost/image",
        }
        shown = guarded.call("GET", "/v1/caller", headers={"X-Auth-Token": session}).json
        assert shown == {"user": "ann", "project": "admin", "role": "operator", "token_uuid": own.uuid}


def test_a_session_ends_by_itself_and_with_its_token_and_cannot_be_prolonged(guarded: Guarded) -> None:
    guarded.set(auth__session_lifetime_s="600")
    secret, admin = guarded.token(Role.READER, "ann"), guarded.token()
    first = log_in(guarded, password("ann", secret))
    assert first.json is not None
    ends = datetime.fromisoformat(first.json["token"]["expires_at"])
    assert timedelta(0) < ends - utcnow() <= timedelta(seconds=600)
    session = first.headers["X-Subject-Token"]
    again = log_in(guarded, {"identity": {"methods": ["token"], "token": {"id": session}}})
    assert again.json is not None
    assert datetime.fromisoformat(again.json["token"]["expires_at"]) <= ends
    own = tokens.authenticate(secret)
    assert own is not None
    assert guarded.call("DELETE", f"/v1/tokens/{own.uuid}", admin).status_code == 200
    for gone in (secret, session, again.headers["X-Subject-Token"]):
        assert guarded.call("GET", "/v1/caller", headers={"X-Auth-Token": gone}).status_code == 401


def test_a_session_that_opens_while_its_token_is_revoked_is_worth_nothing(guarded: Guarded) -> None:
    secret, admin = guarded.token(Role.ADMIN, "ann"), guarded.token()
    seen = tokens.authenticate(secret)
    assert seen is not None
    assert guarded.call("DELETE", f"/v1/tokens/{seen.uuid}", admin).status_code == 200
    session = tokens.open_session(seen, timedelta(hours=1))[1]  # who logged in was let through before
    assert guarded.call("GET", "/v1/caller", session).status_code == 401


def test_wrong_logins_are_told_apart_by_nothing(guarded: Guarded) -> None:
    secret = guarded.token(Role.READER, "ann")
    wrong = [
        password("ann", "wrong"),
        password("bob", secret),
        password("bob", "wrong"),
        {"identity": {"methods": ["token"], "token": {"id": "wrong"}}},
        password("ann", secret) | {"scope": {"project": {"name": "other"}}},
    ]
    answers = [log_in(guarded, auth) for auth in wrong]
    assert {answer.status_code for answer in answers} == {401}
    bodies = {answer.get_data(as_text=True) for answer in answers}
    assert len(bodies) == 1
    assert answers[0].json == {
        "error": {"code": 401, "title": "Unauthorized", "message": "The request you have made requires authentication."}
    }


MALFORMED: list[object] = [
    None,
    {},
    {"identity": {}},
    {"identity": {"methods": []}},
    {"identity": {"methods": ["totp"], "totp": {}}},
    {"identity": {"methods": ["password"]}},
    {"identity": {"methods": ["password"], "password": {"user": {"name": "x", "password": ["hunter2"]}}}},
    {"identity": {"methods": ["token", "password"], "token": {"id": "hunter2"}}},
]


@pytest.mark.parametrize("auth", MALFORMED)
def test_malformed_logins_are_400_and_not_repeated(guarded: Guarded, auth: object) -> None:
    answer = log_in(guarded, auth)
    assert answer.status_code == 400
    assert answer.json is not None
    assert answer.json["error"]["title"] == "Bad Request"
    assert "hunter2" not in answer.get_data(as_text=True)


def test_projects_and_images_are_for_callers(guarded: Guarded) -> None:
    reader = guarded.token(Role.READER)
    one, none = (
        guarded.call("GET", "/identity/v3/projects?name=admin", reader).json,
        guarded.call("GET", "/identity/v3/projects?name=x", reader).json,
    )
    assert one is not None
    assert none is not None
    assert ([project["id"] for project in one["projects"]], none["projects"]) == (["admin"], [])
    assert guarded.call("GET", "/image/v2/images", reader).json == {"images": [], "schema": "/v2/schemas/images", "first": "/v2/images"}


def test_where_nobody_is_asked_anybody_may_log_in(guarded: Guarded) -> None:
    guarded.set(auth__mode="none")
    answer = log_in(guarded, password("x", "y"))
    assert answer.status_code == 201
    assert guarded.call("GET", "/v2.1/servers", headers={"X-Auth-Token": answer.headers["X-Subject-Token"]}).status_code == 200
