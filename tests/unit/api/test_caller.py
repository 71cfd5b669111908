import pytest

from api.caller import is_local, mode_of, why_risky
from lmigrate.config import ApiSettings, AuthSettings

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
