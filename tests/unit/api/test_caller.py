from datetime import timedelta
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import event
from werkzeug.datastructures import Headers

from api import serve
from api.app import create_app
from api.caller import is_local, mode_of, names_other_machine, why_risky
from lmigrate.access import tokens
from lmigrate.config import ApiSettings, AuthSettings, settings
from lmigrate.db.session import disconnect, engine
from lmigrate.states import Role

LOCAL = ["127.0.0.1:8774", "127.8.8.8:1", "[::1]:8774", "localhost:8774", "unix:/run/lmigrate/api.sock"]
REMOTE = ["0.0.0.0:8774", "[::]:8774", ":8774", "10.0.0.1:8774", "node5:8774", "8774", "fd://3"]


@pytest.mark.parametrize("bind", LOCAL)
def test_nobody_is_asked_on_loopback_unless_the_settings_say_so(bind: str) -> None:
    assert is_local(bind)
    assert mode_of(AuthSettings(), ApiSettings(), bind) == "none"
    assert mode_of(AuthSettings(mode="token"), ApiSettings(), bind) == "token"


@pytest.mark.parametrize("bind", REMOTE)
def test_everybody_is_asked_anywhere_else_unless_none_is_asked_for_by_name(bind: str) -> None:
    assert not is_local(bind)
    assert mode_of(AuthSettings(), ApiSettings(), bind) == "token"
    assert mode_of(AuthSettings(mode="none"), ApiSettings(), bind) == "none"


@pytest.mark.parametrize("bind", LOCAL)
@pytest.mark.parametrize("proxy", ["unix", "127.0.0.1/32"])
def test_who_comes_through_a_proxy_is_asked_wherever_the_proxy_runs(bind: str, proxy: str) -> None:
    behind = ApiSettings(proxies=[proxy])
    assert mode_of(AuthSettings(), behind, bind) == "token"
    assert mode_of(AuthSettings(mode="none"), behind, bind) == "none"
    assert "everybody who reaches it or its proxy" in why_risky("none", bind, behind, has_tls=True)[0]


def test_what_is_risky_is_said_loudly() -> None:
    api = ApiSettings()
    assert "NO AUTHENTICATION at 127.0.0.1:1: every user of this machine" in why_risky("none", "127.0.0.1:1", api, has_tls=True)[0]
    assert "everybody who reaches it" in why_risky("none", "10.0.0.1:1", api, has_tls=True)[0]
    assert "NO TLS" in why_risky("token", "10.0.0.1:1", api, has_tls=False)[0]
    assert why_risky("token", "10.0.0.1:1", api, has_tls=True) == []
    assert why_risky("token", "10.0.0.1:1", ApiSettings(proxies=["10.0.0.2/32"]), has_tls=False) == []
    assert why_risky("token", "127.0.0.1:1", api, has_tls=False) == []


OURS = ["localhost", "localhost:8774", "LOCALHOST", "127.0.0.1:8774", "127.1.2.3", "[::1]:8774", "[::1]"]
FOREIGN = [
    "evil.example",
    "evil.example:8774",
    "localhost.evil.example",
    "127.0.0.1.evil.example",
    "10.0.0.5",
    "0.0.0.0:8774",
    "",
    "[::2]",
    "[",
]


@pytest.mark.parametrize("host", OURS)
def test_names_of_this_machine(host: str) -> None:
    assert names_other_machine(Headers({"Host": host})) is None
    assert names_other_machine(Headers({"Host": "localhost", "Origin": f"http://{host}"})) is None


@pytest.mark.parametrize("host", FOREIGN)
def test_a_name_that_was_made_to_lead_here_is_none_of_them(host: str) -> None:
    assert names_other_machine(Headers({"Host": host})) == ("Host", host)
    assert names_other_machine(Headers({"Host": "localhost", "Origin": f"http://{host}"})) == ("Origin", f"http://{host}")


def test_a_look_by_http_1_0_names_no_machine() -> None:
    assert names_other_machine(Headers()) is None


def test_a_page_without_an_origin_is_foreign() -> None:
    assert names_other_machine(Headers({"Host": "localhost", "Origin": "null"})) == ("Origin", "null")


def test_a_web_page_does_not_get_in_where_nobody_is_asked(client: FlaskClient) -> None:
    assert client.get("/v1/hosts", headers={"Host": "127.0.0.1:8774"}).status_code == 200
    for headers in ({"Host": "evil.example"}, {"Host": "localhost", "Origin": "http://evil.example"}):
        refused = client.get("/v1/hosts", headers=headers)
        assert (refused.status_code, "evil.example" in refused.get_data(as_text=True)) == (403, True)
        assert client.post("/v1/doctor/sweep", headers=headers).status_code == 403


@pytest.mark.parametrize("bind", ["unix:/run/lmigrate/api.sock", "10.0.0.5:8774"])
def test_where_no_page_leads_or_others_are_meant_any_name_does(
    database: str, broker: None, monkeypatch: pytest.MonkeyPatch, bind: str
) -> None:
    monkeypatch.setenv("LMIGRATE_AUTH__MODE", "none")
    settings.cache_clear()
    open_to_all: Flask = create_app(bind)
    assert open_to_all.test_client().get("/v1/hosts", headers={"Host": "node5.example"}).status_code == 200


def risks(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], mode: str) -> str:
    monkeypatch.setenv("LMIGRATE_AUTH__MODE", mode)
    settings.cache_clear()
    serve.say_risks(settings())
    return capsys.readouterr().err


def test_who_starts_it_without_a_token_reads_how_to_make_one(
    database: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    said = risks(monkeypatch, capsys, "token")
    assert "NOBODY CAN LOG IN" in said
    assert "`lmigrate token create NAME --role admin --local`" in said
    assert "Nobody can log in but by Keystone" in risks(monkeypatch, capsys, "keystone")
    assert "token create" not in risks(monkeypatch, capsys, "none")
    tokens.create("old", Role.ADMIN, "a test", timedelta(seconds=-1))
    assert "NOBODY CAN LOG IN" in risks(monkeypatch, capsys, "token")
    tokens.create("ann", Role.READER, "a test")
    assert risks(monkeypatch, capsys, "token") == ""


def test_no_worker_inherits_a_connection_from_who_started_it(
    database: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    disconnect()
    opened: list[object] = []
    closed: list[object] = []
    event.listen(engine(), "connect", lambda made, _record: opened.append(made))
    event.listen(engine(), "close", lambda made, _record: closed.append(made))
    assert "NOBODY CAN LOG IN" in risks(monkeypatch, capsys, "token")
    assert len(opened) > 0
    assert opened == closed


def test_a_database_without_tables_does_not_keep_it_from_starting(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setenv("LMIGRATE_DATABASE__URL", f"sqlite:///{tmp_path}/empty.sqlite")
    engine.cache_clear()
    assert risks(monkeypatch, capsys, "token") == ""
    engine().dispose()
    engine.cache_clear()
