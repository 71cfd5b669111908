import pytest
from click.testing import CliRunner

from lmigrate.cli.exit_codes import ExitCode
from lmigrate.cli.main import main
from lmigrate.config import settings
from lmigrate.db.session import engine


@pytest.fixture
def empty(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LMIGRATE_DATABASE__URL", database_url)
    settings.cache_clear()
    engine.cache_clear()


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
