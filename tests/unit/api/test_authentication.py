"""Who is let in, who is not, and what those learn who are not."""

from __future__ import annotations

import base64
from collections.abc import Callable
from datetime import timedelta

import pytest

from lmigrate.access import tokens
from lmigrate.db.clock import utcnow
from lmigrate.db.models import ApiToken
from lmigrate.db.session import reading, writing
from lmigrate.states import Role
from tests.factories.records import host_row, instance_row
from tests.unit.api.conftest import Guarded

Save = Callable[..., None]
OPEN = ["/", "/v2.1", "/v2.1/", "/healthz", "/identity", "/identity/v3", "/image"]
CLOSED = ["/v2.1/servers", "/v2.1/servers/x", "/v1/hosts", "/v1/openapi.json", "/v2.1/nothing", "/nothing", "/identity/v3/projects"]


def basic(name: str, secret: str) -> dict[str, str]:
    return {"Authorization": f"Basic {base64.b64encode(f'{name}:{secret}'.encode()).decode()}"}


@pytest.mark.parametrize("path", OPEN)
def test_version_documents_and_health_are_open(guarded: Guarded, path: str) -> None:
    assert guarded.call("GET", path).status_code in {200, 300}


def test_a_stranger_learns_nothing_but_that_they_are_one(guarded: Guarded, save: Save) -> None:
    known = instance_row("node5")
    save(host_row("node5"), known)
    asked = [*CLOSED, f"/v2.1/servers/{known.uuid}", "/v1/hosts/node5"]
    answers = [guarded.call(method, path) for path in asked for method in ("GET", "POST", "PUT", "DELETE")]
    assert {answer.status_code for answer in answers} == {401}
    bodies = {answer.get_data(as_text=True) for answer in answers if answer.request.path.startswith(("/v2.1", "/nothing"))}
    assert bodies == {'{"unauthorized":{"code":401,"message":"The request you have made requires authentication."}}\n'}
    assert "Bearer" in ",".join(answers[0].headers.getlist("WWW-Authenticate"))


def test_a_stranger_is_told_neither_of_bad_versions_nor_of_bad_bodies(guarded: Guarded) -> None:
    assert guarded.call("GET", "/v2.1/servers", headers={"OpenStack-API-Version": "compute 9.9"}).status_code == 401
    assert guarded.call("POST", "/v2.1/servers/x/action", data="x" * 100_000).status_code == 401


def test_all_three_ways_to_show_a_token(guarded: Guarded) -> None:
    secret = guarded.token(Role.READER, "ann")
    for headers in ({"Authorization": f"Bearer {secret}"}, {"X-Auth-Token": secret}, basic("ann", secret)):
        answer = guarded.call("GET", "/v1/caller", headers=headers)
        assert (answer.status_code, answer.json) == (
            200,
            {"user": "ann", "project": "admin", "role": "reader", "token_uuid": of(secret).uuid},
        )


def of(secret: str) -> ApiToken:
    found = tokens.authenticate(secret)
    assert found is not None
    return found


WRONG = ["", "x", "lmt_", "lmt_" + "x" * 43, "x" * 200, "\N{SNOWMAN}", "notused"]


def test_what_is_no_token(guarded: Guarded, subtests: pytest.Subtests) -> None:
    guarded.set(api__failure_rate="")
    secret = guarded.token(Role.READER, "ann")
    for wrong in [*WRONG, secret[:-1], secret + "x", secret.upper()]:
        with subtests.test(wrong=wrong):
            for headers in ({"X-Auth-Token": wrong.encode().decode("latin-1")}, basic("ann", wrong)):
                assert guarded.call("GET", "/v1/caller", headers=headers).status_code == 401
    assert guarded.call("GET", "/v1/caller", headers=basic("bob", secret)).status_code == 401
    assert guarded.call("GET", "/v1/caller", headers={"Authorization": "Digest x=y"}).status_code == 401


def test_expired_and_revoked_tokens_are_worth_nothing(guarded: Guarded) -> None:
    secret, admin = guarded.token(Role.READER, "ann"), guarded.token()
    assert guarded.call("GET", "/v1/caller", secret).status_code == 200
    assert guarded.call("DELETE", f"/v1/tokens/{of(secret).uuid}", admin).status_code == 200
    assert guarded.call("GET", "/v1/caller", secret).status_code == 401
    old = guarded.token(Role.READER, "bob", timedelta(hours=1))
    with writing() as session:
        session.merge(of(old)).expires_at = utcnow() - timedelta(seconds=1)
    assert guarded.call("GET", "/v1/caller", old).status_code == 401


def test_nothing_in_the_database_lets_anybody_in(guarded: Guarded) -> None:
    secret = guarded.token()
    with reading() as session:
        kept = session.get_one(ApiToken, of(secret).uuid)
    values = [str(value) for name, value in vars(kept).items() if not name.startswith("_")]
    assert not any(secret in value or secret.removeprefix("lmt_") in value for value in values)
    assert guarded.call("GET", "/v1/caller", kept.digest).status_code == 401


def test_last_use_is_noted_and_not_at_each_request(guarded: Guarded) -> None:
    secret = guarded.token()
    assert of(secret).last_used_at is None
    guarded.call("GET", "/v1/caller", secret)
    first = of(secret).last_used_at
    assert (first is not None, of(secret).last_used_from) == (True, "127.0.0.1")
    guarded.call("GET", "/v1/caller", secret)
    assert of(secret).last_used_at == first


def test_readers_read_operators_move_administrators_administer(guarded: Guarded, save: Save) -> None:
    guest = instance_row("node5")
    save(host_row("node5"), host_row("node6"), guest)
    body = {"os-migrateLive": {"host": "node6", "block_migration": "auto"}}
    wanted = [
        ("GET", f"/v2.1/servers/{guest.uuid}", None, {Role.READER, Role.OPERATOR, Role.ADMIN}),
        ("PATCH", "/v1/hosts/node6", {"enabled": True}, {Role.OPERATOR, Role.ADMIN}),
        ("GET", "/v1/tokens", None, {Role.ADMIN}),
        ("GET", "/v1/audit", None, {Role.ADMIN}),
        ("POST", "/v1/migrations/1/resolution", {"running_on": "node5"}, {Role.ADMIN}),
        ("POST", "/v1/tokens", {"name": "x"}, {Role.ADMIN}),
    ]
    for role in Role:
        secret = guarded.token(role)
        for method, path, given, allowed in wanted:
            answer = guarded.call(method, path, secret, **({} if given is None else {"json": given}))
            assert (answer.status_code == 403) is (role not in allowed), (role, method, path)
    version = {"OpenStack-API-Version": "compute 2.96"}
    refused = guarded.call("POST", f"/v2.1/servers/{guest.uuid}/action", guarded.token(Role.READER), json=body, headers=version)
    assert refused.status_code == 403
    assert refused.json == {"forbidden": {"code": 403, "message": "Policy does not allow this in the role reader."}}
    done = guarded.call("POST", f"/v2.1/servers/{guest.uuid}/action", guarded.token(Role.OPERATOR, "ops"), json=body, headers=version)
    assert done.status_code == 202
    moving = guarded.call("GET", "/v2.1/os-migrations", guarded.token(), headers=version)
    assert moving.json is not None
    assert [row["user_id"] for row in moving.json["migrations"]] == ["ops"]


def test_403_does_not_tell_whether_something_exists(guarded: Guarded, save: Save) -> None:
    guest = instance_row("node5")
    save(host_row("node5"), guest)
    reader = guarded.token(Role.READER)
    body = {"os-migrateLive": {"host": "node5", "block_migration": "auto"}}
    answers = [guarded.call("POST", f"/v2.1/servers/{uuid}/action", reader, json=body) for uuid in (guest.uuid, "nothing")]
    assert {(answer.status_code, answer.get_data()) for answer in answers} == {(403, answers[0].get_data())}


def test_a_token_is_made_shown_once_and_listed_without_its_secret(guarded: Guarded) -> None:
    admin = guarded.token(Role.ADMIN, "root")
    made = guarded.call("POST", "/v1/tokens", admin, json={"name": "ci", "role": "operator"}).json
    assert made is not None
    shown = guarded.call("GET", "/v1/caller", made["secret"]).json
    assert shown is not None
    assert (shown["user"], shown["role"]) == ("ci", "operator")
    listed = guarded.call("GET", "/v1/tokens?name=ci", admin)
    assert listed.json is not None
    assert [(row["uuid"], row["created_by"]) for row in listed.json["tokens"]] == [(made["uuid"], "root")]
    assert made["secret"] not in listed.get_data(as_text=True)
    assert guarded.call("GET", f"/v1/tokens/{made['uuid']}", admin).json == listed.json["tokens"][0]


@pytest.mark.parametrize("body", [{"name": "a b"}, {"name": ""}, {"name": "x", "role": "king"}, {"name": "x", "lifetime_s": 0}])
def test_tokens_that_cannot_be(guarded: Guarded, body: dict[str, str]) -> None:
    assert guarded.call("POST", "/v1/tokens", guarded.token(), json=body).status_code == 400


def test_keystone_headers_of_a_client_are_not_believed(guarded: Guarded) -> None:
    forged = {"X-Identity-Status": "Confirmed", "X-Roles": "admin", "X-User-Id": "x", "X-User-Name": "x", "X-Project-Id": "x"}
    for sent in (forged, {**forged, "X-Auth-Token": "x"}):
        assert guarded.call("GET", "/v1/caller", headers=sent).status_code == 401
