"""`lmigrate token` and `lmigrate audit`, over real HTTP against an API that asks who somebody is."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from click.testing import CliRunner, Result

from api.app import create_app
from lmigrate.cli.exit_codes import ExitCode
from lmigrate.cli.main import main
from lmigrate.config import settings
from tests.served import served


class Cli:
    """The command line, with a token or without."""

    def __init__(self, url: str) -> None:
        self._url = url

    def __call__(self, *arguments: str, token: str | None = None) -> Result:
        return CliRunner().invoke(main, list(arguments), env={"LMIGRATE_URL": self._url, "LMIGRATE_TOKEN": token})

    def made(self, *arguments: str, token: str | None = None) -> dict[str, str]:
        done = self("token", "create", *arguments, "-o", "json", token=token)
        assert done.exit_code == 0, done.output
        return dict(json.loads(done.stdout))


@pytest.fixture
def cli(database: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cli]:
    monkeypatch.setenv("LMIGRATE_AUTH__MODE", "token")
    settings.cache_clear()
    with served(create_app()) as url:
        yield Cli(url)


def test_the_first_token_is_made_locally_and_the_rest_over_http(cli: Cli) -> None:
    denied = cli("token", "create", "ann")
    assert (denied.exit_code, "--local" in denied.output) == (ExitCode.DENIED, True)
    admin = cli.made("root", "--role", "admin", "--local")["secret"]
    ann = cli.made("ann", "--role", "operator", "--expires", "90d", token=admin)
    assert ann["role"] == "operator"
    listed = cli("token", "list", token=admin)
    assert [line.split()[1:4] for line in listed.output.splitlines()[1:]] == [["ann", "operator", "good"], ["root", "admin", "good"]]
    assert ann["secret"] not in listed.output
    assert "ann" in cli("token", "whoami", token=ann["secret"]).output
    forbidden = cli("token", "list", token=ann["secret"])
    assert (forbidden.exit_code, "whoami" in forbidden.output) == (ExitCode.DENIED, True)


def test_a_token_is_revoked_by_name_or_uuid(cli: Cli) -> None:
    admin = cli.made("root", "--role", "admin", "--local")["secret"]
    ann = cli.made("ann", token=admin)
    assert cli("token", "revoke", "ann", token=admin).exit_code == 0
    assert cli("host", "list", token=ann["secret"]).exit_code == ExitCode.DENIED
    assert cli("token", "revoke", "ann", token=admin).exit_code == ExitCode.NOT_FOUND
    assert cli("token", "revoke", ann["uuid"], token=admin).exit_code == 0
    twins = [cli.made("bob", token=admin)["uuid"] for _ in range(2)]
    both = cli("token", "revoke", "bob", token=admin)
    assert (both.exit_code, all(uuid in both.output for uuid in twins)) == (ExitCode.CONFLICT, True)


@pytest.mark.parametrize("wrong", [["a b", "--local"], ["x", "--expires", "soon"], ["x", "--role", "king"], ["x", "--expires", "0d"]])
def test_wrong_usage(cli: Cli, wrong: list[str]) -> None:
    assert cli("token", "create", *wrong).exit_code == ExitCode.USAGE


def test_the_audit_is_listed(cli: Cli) -> None:
    admin = cli.made("root", "--role", "admin", "--local")["secret"]
    cli.made("ann", token=admin)
    cli("host", "enable", "node9", token=admin)
    shown = cli("audit", token=admin).output.splitlines()
    assert [" ".join(line.split()).split(" root 127.0.0.1 ")[1].split(" req-")[0] for line in shown[1:]] == [
        "refused (404) v1.change_host PATCH /v1/hosts/node9 enabled=True",
        "done (200) v1.create_token POST /v1/tokens name=ann, role=reader, lifetime_s=-".replace("-", "None"),
    ]
    only = json.loads(cli("audit", "--refused", "--since", "2020-01-01", "-o", "json", token=admin).output)
    assert [event["operation"] for event in only] == ["v1.change_host"]
    assert json.loads(cli("audit", "--user", "nobody", "-o", "json", token=admin).output) == []


def test_a_certificate_that_is_none_is_named(cli: Cli, tmp_path_factory: pytest.TempPathFactory) -> None:
    wrong = tmp_path_factory.mktemp("pki") / "ca.pem"
    wrong.write_text("nothing")
    for given in (wrong, wrong.with_name("missing.pem")):
        done = CliRunner().invoke(main, ["--cacert", str(given), "host", "list"])
        assert (done.exit_code, str(given) in done.output) == (ExitCode.USAGE, True)
