"""Which API is meant, and that a token goes nowhere else."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from lmigrate.cli.client import Client
from lmigrate.cli.endpoint import Endpoint, resolve, said_in
from lmigrate.cli.exit_codes import ExitCode, Failure
from lmigrate.cli.main import main

pytestmark = pytest.mark.one_database

FILE = """
profile = "north"
[profiles.north]
url = "http://north.example:8774/"
token = "of-north"
[profiles.south]
url = "https://south.example:8774"
cacert = "~/south.pem"
"""
OPENSTACK = {"OS_ENDPOINT": "http://os.example:8774/v2.1/", "OS_TOKEN": "of-os"}


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    (tmp_path / "config" / "lmigrate").mkdir(parents=True)
    return tmp_path


@pytest.fixture
def file(home: Path) -> Path:
    written = home / "config" / "lmigrate" / "config.toml"
    written.touch(mode=0o600)
    written.write_text(FILE)
    return written


def test_without_anything_it_is_this_machine(home: Path) -> None:
    assert resolve(Endpoint(), {}) == Endpoint("http://127.0.0.1:8774")


@pytest.mark.parametrize("token", ["lmt_secret\r", "lmt_secret\nX-More: 1", "lmt_secret two", "lmt_sécret"])
def test_a_token_that_cannot_be_sent_is_refused_and_not_shown(token: str) -> None:
    with pytest.raises(Failure, match="LMIGRATE_TOKEN") as refused:
        Client(Endpoint("http://127.0.0.1:1", token))
    assert refused.value.exit_code == ExitCode.USAGE
    assert "lmt_" not in str(refused.value.message)


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        (Endpoint("http://here"), Endpoint("http://here")),  # and not north's token
        (Endpoint("http://here", "mine"), Endpoint("http://here", "mine")),
        (Endpoint(), Endpoint("http://north.example:8774/", "of-north")),
        (Endpoint(token="mine"), Endpoint("http://north.example:8774/", "mine")),
        (Endpoint(profile="south"), Endpoint("https://south.example:8774", ca_file=Path("~/south.pem"), profile="south")),
    ],
)
def test_the_nearest_address_wins_and_takes_no_token_from_below(file: Path, home: Path, said: Endpoint, meant: Endpoint) -> None:
    found = resolve(said, OPENSTACK)
    expanded = meant.ca_file.expanduser() if meant.ca_file else None
    assert (found.url, found.token, found.ca_file) == (meant.url, meant.token, expanded)


def test_openstacks_variables_come_last(home: Path) -> None:
    assert resolve(Endpoint(), OPENSTACK) == Endpoint("http://os.example:8774", "of-os")
    basic = {**OPENSTACK, "OS_AUTH_TYPE": "http_basic", "OS_USERNAME": "me", "OS_PASSWORD": "of-basic", "OS_CACERT": "/os.pem"}
    assert resolve(Endpoint(), basic) == Endpoint("http://os.example:8774", "of-basic", Path("/os.pem"))


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("[profiles.south]\nurl = 'x'", ("There is no profile 'north'", "(there: south)")),
        ("[profiles.north]\nurl = 'x'\nuser = 'me'", ("there is no 'user'", "url, token, cacert")),
        ("[profiles.north]\ntoken = 'x'", ("add url = …",)),
        ("[profiles.north", ("cannot be read",)),
    ],
)
def test_a_wrong_file_is_one_clear_sentence(file: Path, content: str, words: tuple[str, ...]) -> None:
    file.write_text(content)
    with pytest.raises(Failure) as raised:
        resolve(Endpoint(profile="north"), {})
    assert raised.value.exit_code == ExitCode.USAGE
    assert not [word for word in (*words, str(file)) if word not in raised.value.message]


def test_a_file_with_tokens_is_for_its_owner_only(file: Path) -> None:
    file.chmod(0o640)
    with pytest.raises(Failure, match="chmod 600"):
        resolve(Endpoint(), {})
    file.write_text("profile = 'north'\n[profiles.north]\nurl = 'http://x'")
    assert resolve(Endpoint(), {}).url == "http://x"


def test_a_token_is_in_no_trace(file: Path) -> None:
    assert "of-north" not in repr(resolve(Endpoint(), {}))


def test_what_needs_no_api_does_not_mind_a_wrong_file(file: Path) -> None:
    file.write_text("nonsense")
    assert CliRunner().invoke(main, ["server", "list", "--help"]).exit_code == 0


@pytest.fixture
def heard() -> list[str | None]:
    return []


@pytest.fixture
def listening(heard: list[str | None]) -> Iterator[str]:
    """A server that writes down which credentials it was shown."""

    class Listener(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            heard.append(self.headers["Authorization"])
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b'{"hosts": [], "next_marker": null}')

        def log_message(self, *_: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Listener)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_which_token_is_sent(file: Path, listening: str, heard: list[str | None]) -> None:
    file.write_text(FILE.replace("http://north.example:8774/", listening))
    run: Callable[..., Result] = CliRunner().invoke
    elsewhere = {"LMIGRATE_URL": "http://127.0.0.1:9", "LMIGRATE_TOKEN": "of-elsewhere"}
    assert run(main, ["host", "list"]).exit_code == 0
    assert run(main, ["--profile", "north", "host", "list"], env=elsewhere).exit_code == 0
    assert run(main, ["--url", listening, "host", "list"]).exit_code == 0
    assert run(main, ["host", "list"], env={"LMIGRATE_URL": listening, "LMIGRATE_TOKEN": "mine"}).exit_code == 0
    assert run(main, ["host", "list"], env={"LMIGRATE_PROFILE": "north", "LMIGRATE_TOKEN": "mine"}).exit_code == 0
    assert heard == ["Bearer of-north", "Bearer of-north", None, "Bearer mine", "Bearer mine"]


def test_a_variables_token_goes_to_its_own_address_only(home: Path, listening: str, heard: list[str | None]) -> None:
    run: Callable[..., Result] = CliRunner().invoke
    elsewhere = {
        "LMIGRATE_URL": "http://127.0.0.1:9",
        "LMIGRATE_TOKEN": "of-elsewhere",
        "LMIGRATE_CERT": "/no.pem",
        "LMIGRATE_KEY": "/no.key",
    }
    for options, environment in (
        ([], elsewhere),
        (["--token", "typed"], elsewhere),
        ([], {"LMIGRATE_TOKEN": "of-any"}),
        ([], {"LMIGRATE_URL": f"{listening}/", "LMIGRATE_TOKEN": "of-here"}),
    ):
        shown = run(main, ["--url", listening, *options, "host", "list"], env=environment)
        assert shown.exit_code == 0, shown.output
    assert heard == [None, "Bearer typed", "Bearer of-any", "Bearer of-here"]


@pytest.mark.parametrize(
    ("at", "files"), [("https://other", (Path("/ca.pem"), None, None)), ("https://here", (Path("/ca.pem"), Path("/c.pem"), Path("/k.pem")))]
)
def test_a_variables_certificate_is_shown_to_its_own_address_only(
    monkeypatch: pytest.MonkeyPatch, at: str, files: tuple[Path | None, ...]
) -> None:
    for name, value in {"URL": "https://here", "CACERT": "/ca.pem", "CERT": "/c.pem", "KEY": "/k.pem"}.items():
        monkeypatch.setenv(f"LMIGRATE_{name}", value)
    said = said_in(main.make_context("lmigrate", ["--url", at, "host", "list"]))
    assert (said.ca_file, said.cert_file, said.key_file) == files
