"""Every change that was asked for is on record, also when it was refused; no secret is."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from api.limits import Limits
from lmigrate.access import housekeeping
from lmigrate.config import AuditSettings, Settings, settings
from lmigrate.db.clock import utcnow
from lmigrate.db.models import ApiToken, AuditEvent
from lmigrate.db.session import reading
from lmigrate.db.stores import audit as store
from lmigrate.errors import BrokerUnavailable
from lmigrate.states import Role
from tests.factories.records import host_row, instance_row
from tests.unit.api.conftest import Guarded

Save = Callable[..., None]


def events() -> list[AuditEvent]:
    with reading() as session:
        return session.query(AuditEvent).order_by(AuditEvent.id).all()


def test_a_change_is_on_record(guarded: Guarded, save: Save) -> None:
    guest = instance_row("node5")
    save(host_row("node5"), host_row("node6"), guest)
    body = {"os-migrateLive": {"host": "node6", "block_migration": "auto"}}
    path = f"/v2.1/servers/{guest.uuid}/action"
    version = {"OpenStack-API-Version": "compute 2.96"}
    answer = guarded.call("POST", path, guarded.token(Role.OPERATOR, "ops"), json=body, headers=version)
    row = events()[0]
    assert (row.user_id, row.role, row.address, row.method, row.path) == ("ops", Role.OPERATOR, "127.0.0.1", "POST", path)
    assert (row.operation, row.status, row.error_code) == ("nova.os-migrateLive", 202, None)
    assert row.details == {"host": "node6", "block_migration": "auto"}
    assert row.request_id == answer.headers["x-openstack-request-id"]


def test_looking_is_not(guarded: Guarded) -> None:
    guarded.call("GET", "/v1/hosts", guarded.token())
    guarded.call("GET", "/v1/hosts")
    assert events() == []


REFUSED: list[tuple[Role | None, str, str, dict[str, Any], int, str | None, str | None]] = [
    (None, "PATCH", "/v1/hosts/x", {"enabled": True}, 401, None, "Unauthenticated"),
    (Role.READER, "PATCH", "/v1/hosts/x", {"enabled": True}, 403, "v1.change_host", "Forbidden"),
    (Role.ADMIN, "PATCH", "/v1/hosts/x", {"enabled": True}, 404, "v1.change_host", "HostNotFound"),
    (Role.ADMIN, "PATCH", "/v1/hosts/x", {"enabled": 7}, 400, "v1.change_host", "InvalidInput"),
    (Role.ADMIN, "POST", "/nothing", {}, 404, None, "NotFound"),
    (Role.READER, "POST", "/v2.1/servers/x/action", {"os-migrateLive": {}}, 403, "nova.os-migrateLive", "Forbidden"),
    (Role.READER, "POST", "/v2.1/servers/x/action", {"reboot": {}}, 403, "nova.act", "Forbidden"),
    (Role.READER, "POST", "/v2.1/servers/x/action", {"os-migrateLive": "x" * 2**20}, 403, "nova.act", "Forbidden"),
]


@pytest.mark.parametrize(("role", "method", "path", "body", "status", "operation", "code"), REFUSED)
def test_what_was_refused_is_too(
    guarded: Guarded, role: Role | None, method: str, path: str, body: dict[str, Any], status: int, operation: str | None, code: str
) -> None:
    secret = None if role is None else guarded.token(role)
    assert guarded.call(method, path, secret, json=body).status_code == status
    row = events()[0]
    assert (row.status, row.error_code) == (status, code)
    assert (row.operation if role is not None else None, row.user_id) == (operation, None if role is None else "someone")


def test_what_broke_is_too(guarded: Guarded, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_args: object) -> None:
        raise BrokerUnavailable(reason="the password is hunter2")

    admin = guarded.token()
    monkeypatch.setattr("api.v1.tokens.access.create", broken)
    assert guarded.call("POST", "/v1/tokens", admin, json={"name": "x"}).status_code == 503
    assert [(row.status, row.error_code) for row in events()] == [(503, "BrokerUnavailable")]


def test_a_change_whose_api_died_in_it_is_of_unknown_outcome(guarded: Guarded, monkeypatch: pytest.MonkeyPatch) -> None:
    class Death(BaseException):
        pass

    def die(*_args: object) -> None:
        raise Death

    admin = guarded.token()
    monkeypatch.setattr("api.v1.tokens.access.create", die)
    with pytest.raises(Death):
        guarded.call("POST", "/v1/tokens", admin, json={"name": "x"})
    shown = guarded.call("GET", "/v1/audit", admin).json
    assert shown is not None
    assert [(one["outcome"], one["details"]) for one in shown["events"]] == [("unknown", {"name": "x"})]


def test_nothing_is_changed_that_cannot_be_recorded(guarded: Guarded, monkeypatch: pytest.MonkeyPatch) -> None:
    from sqlalchemy.exc import OperationalError

    admin = guarded.token()

    def away(*_args: object) -> AuditEvent:
        raise OperationalError("", {}, Exception("away"))

    monkeypatch.setattr("api.audit._event", away)
    assert guarded.call("POST", "/v1/tokens", admin, json={"name": "x"}).status_code == 503
    with reading() as session:
        assert session.query(ApiToken).filter_by(name="x").count() == 0


def test_no_secret_is_on_record(guarded: Guarded) -> None:
    admin = guarded.token()
    made = guarded.call("POST", "/v1/tokens", admin, json={"name": "ci", "role": "reader"}).json
    assert made is not None
    how = {"methods": ["password"], "password": {"user": {"name": "ci", "password": made["secret"]}}}
    opened = guarded.call("POST", "/identity/v3/auth/tokens", json={"auth": {"identity": how}})
    assert opened.status_code == 201
    guarded.call(
        "POST", "/identity/v3/auth/tokens", json={"auth": {"identity": {**how, "password": {"user": {"name": "x", "password": "hunter2"}}}}}
    )
    volume = {"name": "v", "backend": "san9", "source_name": "s", "location": {"password": "hunter2"}}
    guarded.call("POST", "/v1/volumes", admin, json=volume)
    guarded.call("POST", f"/v1/tokens?secret={admin}", admin, json={"name": "a", "password": "hunter2"})
    text = repr([vars(row) for row in events()])
    for secret in (admin, made["secret"], opened.headers["X-Subject-Token"], "hunter2"):
        assert secret not in text
    logins = [(row.user_id, row.status) for row in events() if row.operation == "identity.create_session"]
    assert logins == [("ci", 201), (None, 401)]


def test_strangers_cannot_fill_it(guarded: Guarded, monkeypatch: pytest.MonkeyPatch) -> None:
    left = iter([True, True, False, False, False])
    monkeypatch.setattr(Limits, "may_record_stranger", lambda _limits: next(left))
    for _ in range(5):
        assert guarded.call("POST", "/v1/tokens", json={"name": "x"}).status_code == 401
    assert len(events()) == 2


def test_it_is_listed_page_by_page_and_filtered(guarded: Guarded) -> None:
    admin, reader = guarded.token(Role.ADMIN, "root"), guarded.token(Role.READER, "eve")
    for name in ("a", "b", "c"):
        guarded.call("POST", "/v1/tokens", admin, json={"name": name})
    guarded.call("POST", "/v1/tokens", reader, json={"name": "mine"})

    def names(query: str) -> list[str]:
        answer = guarded.call("GET", f"/v1/audit?{query}", admin)
        assert answer.status_code == 200, answer.json
        assert answer.json is not None
        return [one["details"].get("name", one["outcome"]) for one in answer.json["events"]]

    assert names("") == ["refused", "c", "b", "a"]
    assert names("refused=true") == names("user=eve") == ["refused"]
    assert names("refused=false&limit=2") == ["c", "b"]
    assert names("operation=v1.create_token&user=root") == ["c", "b", "a"]
    unknown = guarded.call("GET", "/v1/audit?operation=migrate", admin)
    assert (unknown.status_code, "docs/reference/operations.md" in unknown.text) == (400, True)
    assert names("since=2999-01-01T00:00:00Z") == []
    page = guarded.call("GET", "/v1/audit?limit=2", admin).json
    assert page is not None
    assert names(f"limit=2&marker={page['next_marker']}") == ["b", "a"]
    assert guarded.call("GET", "/v1/audit?marker=999999", admin).status_code == 404


def test_it_is_forgotten_by_age_as_are_sessions_that_ended(guarded: Guarded, save: Save, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "_BATCH", 2)
    old, new = utcnow() - timedelta(days=366), utcnow() - timedelta(days=364)
    rows = [AuditEvent(at=at, request_id="r", address="a", method="POST", path=str(at), details={}) for at in (old, old, old, new)]
    parent = ApiToken(uuid="p", name="p", role=Role.READER, digest="p", created_by="x", expires_at=old)
    ended = ApiToken(uuid="s", name="p", role=Role.READER, digest="s", created_by="x", expires_at=old, parent_uuid="p")
    save(*rows, parent, ended)
    assert housekeeping.tidy(settings()) == "1 sessions and 3 audit events forgotten"
    assert [row.path for row in events()] == [str(new)]
    with reading() as session:
        assert [row.uuid for row in session.query(ApiToken)] == ["p"]
    assert housekeeping.tidy(Settings(audit=AuditSettings(keep_days=363))) == "0 sessions and 1 audit events forgotten"
