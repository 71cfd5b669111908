"""Where a request says that it comes from counts only when a trusted proxy says so."""

from __future__ import annotations

import pytest

from api.proxies import TrustedProxies
from lmigrate.config import ApiSettings
from lmigrate.db.models import AuditEvent
from lmigrate.db.session import reading
from tests.unit.api.conftest import Guarded

FORWARDED = {"X-Forwarded-For": "192.0.2.9", "X-Forwarded-Proto": "https", "X-Forwarded-Host": "api.example"}


def seen(guarded: Guarded, peer: str) -> tuple[str, str]:
    """The address in the audit, and the host in a link."""
    secret = guarded.token()
    guarded.call("DELETE", "/v1/tokens/x", secret, headers=FORWARDED, environ_base={"REMOTE_ADDR": peer})
    link = guarded.call("GET", "/v2.1/", headers=FORWARDED, environ_base={"REMOTE_ADDR": peer}).json
    assert link is not None
    with reading() as session:
        return session.query(AuditEvent).one().address, link["version"]["links"][0]["href"]


def test_a_trusted_proxy_is_believed(guarded: Guarded) -> None:
    guarded.set(api__proxies='["10.0.0.0/24"]')
    assert seen(guarded, "10.0.0.9") == ("192.0.2.9", "https://api.example/v2.1/")


@pytest.mark.parametrize("proxies", ["[]", '["10.0.0.9/32"]'])
def test_anybody_else_is_not(guarded: Guarded, proxies: str) -> None:
    guarded.set(api__proxies=proxies)
    assert seen(guarded, "10.0.0.8") == ("10.0.0.8", "http://localhost/v2.1/")


def test_nobody_comes_through_a_proxy_on_this_machine_unasked(guarded: Guarded) -> None:
    guarded.set(auth__mode="auto", api__bind="unix:/run/lmigrate/api.sock", api__proxies='["unix"]')
    assert guarded.call("GET", "/v2.1/servers", headers=FORWARDED, environ_base={"REMOTE_ADDR": ""}).status_code == 401


def test_a_unix_socket_is_trusted_by_name() -> None:
    def nothing(_environ: object, _start: object) -> list[bytes]:
        return []

    assert TrustedProxies(nothing, ["unix"]).trusts("")
    assert not TrustedProxies(nothing, ["10.0.0.0/8"]).trusts("")
    assert not TrustedProxies(nothing, ["10.0.0.0/8"]).trusts("rubbish")


def test_a_proxy_that_is_no_network_is_a_wrong_setting() -> None:
    with pytest.raises(ValueError, match="does not appear to be"):
        ApiSettings(proxies=["api.example"])
