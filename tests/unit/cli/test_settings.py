"""Wrong settings end every command that reads them with a sentence, and no secret in it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from lmigrate.cli.exit_codes import ExitCode
from lmigrate.cli.main import main
from lmigrate.config import settings

pytestmark = pytest.mark.one_database

#: each that reads settings
COMMANDS = (
    *[(daemon, "run") for daemon in ("api", "conductor", "beat", "flower", "storage", "host")],
    *[("db", verb) for verb in ("upgrade", "check")],
    ("db", "downgrade", "base"),
    ("token", "create", "x", "--local"),
    ("broker", "acl"),
    ("secrets", "rotate"),
)


@pytest.fixture(autouse=True)
def _own_settings() -> Iterator[None]:
    settings.cache_clear()
    yield
    settings.cache_clear()


def refused(variables: dict[str, str], *command: str) -> str:
    """What is said of settings that must be refused."""
    shown: Result = CliRunner().invoke(main, list(command or ("broker", "acl")), env=variables)
    assert (shown.exit_code, type(shown.exception)) == (ExitCode.USAGE, SystemExit), shown.output
    assert shown.output.startswith("Error: Wrong settings: ")
    assert "hunter2" not in shown.output
    return shown.output


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_every_command_says_it(command: tuple[str, ...]) -> None:
    assert "database.url" in refused({"LMIGRATE_DATABASE__URL": "mysql://u:hunter2@h/n"}, *command)
    settings.cache_clear()
    assert "LMIGRATE_CONFIG names /nowhere.toml" in refused({"LMIGRATE_CONFIG": "/nowhere.toml"}, *command)


@pytest.mark.parametrize(
    "url",
    [
        "hunter2",
        "",
        "mysql://u:hunter2@h/n",
        "postgresql+psycopg2://u:hunter2@h/n",
        "postgresql+psycopg://u:hunter2@h:port/n",
        "postgresql+psycopg://u:hunter2@h:70000/n",
        "postgresql+psycopg://u:hunter2@h:/n",
        "postgresql+psycopg://u:@hunter2@h/n",
        "sqlite://host/hunter2",
    ],
)
def test_a_database_that_cannot_be_is_refused(url: str) -> None:
    assert "postgresql+psycopg://user:password@host:port/name" in refused({"LMIGRATE_DATABASE__URL": url})


@pytest.mark.parametrize(
    "url",
    [
        "sqlite:////var/lib/x.sqlite",
        "sqlite:///x.sqlite",
        "postgresql://u@h/n",
        "postgresql+psycopg://u:p/:?w@10.0.0.1:5432/n?sslmode=require",
        "postgresql+psycopg://u:p@[fd00::1]:5432/n",
        "postgresql+psycopg:///n?host=/run/postgresql",
        "postgresql+psycopg://u:p@/n?host=a:5432&host=b:5432",
    ],
)
def test_a_database_that_can_be_is_not(url: str) -> None:
    shown = CliRunner().invoke(main, ["broker", "acl"], env={"LMIGRATE_DATABASE__URL": url})
    assert shown.exit_code == 0, shown.output


@pytest.mark.parametrize("bind", ["127.0.0.1", "127.0.0.1:0", "127.0.0.1:70000", "127.0.0.1:http", ":8774", "::1", "a b:80", ""])
@pytest.mark.parametrize("section", ["api", "flower"])
def test_where_nobody_can_listen_is_refused(section: str, bind: str) -> None:
    assert f"{section}.bind = {bind!r}: an address with a port" in refused({f"LMIGRATE_{section.upper()}__BIND": bind})


@pytest.mark.parametrize("url", ["amqp://u:hunter2@h/", "hunter2", "redis://:hunter2@h:port/0", "rediss://:hunter2@h:0/0"])
def test_a_broker_that_is_no_redis_is_refused(url: str) -> None:
    assert "redis://user:password@host:6379/0" in refused({"LMIGRATE_BROKER__URL": url})
    settings.cache_clear()
    assert "api.rate_storage" in refused({"LMIGRATE_API__RATE_STORAGE": "memcached://hunter2"})


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"[api\n", "is no TOML in UTF-8"),
        (b"x = '\xff'", "is no TOML in UTF-8"),
        (b"[database]\nurll = 'hunter2'", "there is no setting database.urll (url?)"),
        (b"[databse]\nurl = 'hunter2'", "there is no setting databse (database?)"),
        (
            b"[api]\nthreads = 0\nmax_body_bytes = 5",
            "api.threads = 0: Input should be greater than or equal to 1; api.max_body_bytes = 5: ",
        ),
        (b"[flower]\nbasic_auth = ['hunter2']", "flower.basic_auth: "),
        (b"[storage.backends.c]\ndriver = 'cinder'\nauth = {password = 1}\nregion = 7", "storage.backends.c.cinder.region = 7: "),
    ],
)
def test_a_wrong_file_is_named_with_what_is_wrong(tmp_path: Path, content: bytes, said: str) -> None:
    (tmp_path / "x.toml").write_bytes(content)
    assert said in refused({"LMIGRATE_CONFIG": str(tmp_path / "x.toml")})


def test_a_directory_is_no_file(tmp_path: Path) -> None:
    assert f"LMIGRATE_CONFIG names {tmp_path}, which cannot be read (Is a directory)" in refused({"LMIGRATE_CONFIG": str(tmp_path)})


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("LMIGRATE_DATABSE__URL", "hunter2", "LMIGRATE_DATABSE__URL sets nothing: there is no section 'databse' (database?)"),
        ("LMIGRATE_DATABASE_URL", "hunter2", "LMIGRATE_DATABASE_URL sets nothing: it is written LMIGRATE_DATABASE__URL"),
        ("LMIGRATE_DATABASE__URLL", "hunter2", "there is no setting database.urll (url?)"),
        ("LMIGRATE_SECRETS__KEYS", "hunter2", "LMIGRATE_SECRETS__KEYS is no JSON"),
        ("LMIGRATE_SECRETS", "hunter2", "LMIGRATE_SECRETS is no JSON"),
    ],
)
def test_variables_that_set_nothing_are_told(name: str, value: str, said: str) -> None:
    assert said in refused({name: value})


def test_what_the_command_line_reads_itself_is_left_alone() -> None:
    others = {"LMIGRATE_URL": "http://h", "LMIGRATE_HOST_EPOCH": "1", "LMIGRATE_COMPLETION_TIMEOUT_S": "1", "LMIGRATE_MY_OWN": "1"}
    shown = CliRunner().invoke(main, ["broker", "acl"], env=others)
    assert shown.exit_code == 0, shown.output


def test_the_environment_goes_before_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "x.toml").write_text("[api]\nthreads = 5\nmax_body_bytes = 2048\n")
    monkeypatch.setenv("LMIGRATE_CONFIG", str(tmp_path / "x.toml"))
    monkeypatch.setenv("LMIGRATE_API__THREADS", "6")
    assert (settings().api.threads, settings().api.max_body_bytes) == (6, 2048)


def test_the_databases_password_is_in_no_trace(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LMIGRATE_DATABASE__URL", "postgresql://u:hunter2@h/n")
    assert "hunter2" not in repr(settings())
