from collections.abc import Iterator

import pytest
from click.testing import CliRunner
from sqlalchemy import text

from lmigrate.cli.exit_codes import ExitCode
from lmigrate.cli.main import main
from lmigrate.config import settings
from lmigrate.db.session import engine


@pytest.fixture
def empty(database_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("LMIGRATE_DATABASE__URL", database_url)
    settings.cache_clear()
    engine.cache_clear()
    yield
    engine().dispose()
    engine.cache_clear()
    settings.cache_clear()


def test_up_down_and_checked(empty: None) -> None:
    run = CliRunner().invoke
    behind = run(main, ["db", "check"])
    assert (behind.exit_code, "lmigrate db upgrade" in behind.output) == (ExitCode.FAILED, True)
    for _ in range(2):
        assert run(main, ["db", "upgrade"]).output == "The database is up to date.\n"
    assert run(main, ["db", "check"]).exit_code == 0
    assert run(main, ["db", "downgrade", "base"]).exit_code == 0
    assert run(main, ["db", "check"]).exit_code == ExitCode.FAILED


def test_a_database_that_cannot_be_reached(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LMIGRATE_DATABASE__URL", "sqlite:////nowhere/at/all.sqlite")
    settings.cache_clear()
    engine.cache_clear()
    shown = CliRunner().invoke(main, ["db", "upgrade"])
    assert shown.exit_code == ExitCode.FAILED
    assert "LMIGRATE_DATABASE__URL" in shown.output


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["upgrade", "NOSUCH"], ExitCode.NOT_FOUND, "There is no revision NOSUCH. `lmigrate db upgrade` goes to the newest."),
        (["upgrade", "+99"], ExitCode.NOT_FOUND, "There is no revision +99."),
        (["downgrade", "NOSUCH"], ExitCode.NOT_FOUND, "There is no revision NOSUCH."),
        (["downgrade", "-99"], ExitCode.NOT_FOUND, "There is no revision -99."),
        (["upgrade", "+1x"], ExitCode.USAGE, "'+1x' cannot be a revision"),
        (["upgrade", "base:head"], ExitCode.USAGE, "'base:head' cannot be a revision"),
        (["downgrade", ""], ExitCode.USAGE, "'' cannot be a revision"),
    ],
)
def test_a_revision_that_there_is_not(empty: None, arguments: list[str], code: ExitCode, said: str) -> None:
    shown = CliRunner().invoke(main, ["db", *arguments])
    assert (shown.exit_code, said in shown.output) == (code, True), shown.output


def test_a_database_of_a_newer_version_is_no_wrong_value(empty: None) -> None:
    run = CliRunner().invoke
    assert run(main, ["db", "upgrade"]).exit_code == 0
    with engine().begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = 'newer'"))
    for arguments in (["upgrade"], ["downgrade", "-1"]):
        shown = run(main, ["db", *arguments])
        assert (shown.exit_code, "'newer'" in shown.output) == (ExitCode.FAILED, True), shown.output
