"""Each row of the table of exit codes, and what is said with it, against a server that answers anything; over TLS too."""

from __future__ import annotations

import json
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from lmigrate.cli.address import base_of
from lmigrate.cli.exit_codes import OF_STATUS, ExitCode, Failure
from lmigrate.cli.main import main
from lmigrate.lab.certificates import CertificateAuthority, install

pytestmark = pytest.mark.one_database


@contextmanager
def answering(status: int, body: object, context: ssl.SSLContext | None = None) -> Iterator[str]:
    """``127.0.0.1:PORT`` of a server that answers everything so."""

    class Listener(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.end_headers()
            self.wfile.write(json.dumps(body).encode())

        def log_message(self, *_: object) -> None:
            pass

    class Server(HTTPServer):
        def handle_error(self, *_: object) -> None:
            """A client that turns away from a certificate is what these tests are about."""

    server = Server(("127.0.0.1", 0), Listener)
    if context is not None:
        server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield f"127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def listed(url: str, **variables: str | None) -> Result:
    return CliRunner().invoke(main, ["--url", url, "host", "list"], env={"LMIGRATE_TOKEN": None, "LMIGRATE_CACERT": None, **variables})


@pytest.mark.parametrize(
    ("status", "code", "ends_with"),
    [
        *[(status, "", code) for status, code in OF_STATUS.items()],
        (400, "InvalidInput", ExitCode.USAGE),
        (400, "UnknownHost", ExitCode.NOT_FOUND),
        (400, "NotMigratable", ExitCode.FAILED),
        (413, "", ExitCode.FAILED),
        (500, "", ExitCode.FAILED),
    ],
)
def test_what_the_api_refuses(status: int, code: str, ends_with: ExitCode) -> None:
    with answering(status, {"detail": "so it is.", "code": code}) as at:
        shown = listed(f"http://{at}")
    assert (shown.exit_code, shown.output.startswith("Error: so it is.")) == (ends_with, True)


def test_the_page_says_of_each_status_how_it_ends(repository: Path) -> None:
    page = (repository / "docs" / "command-line.md").read_text()
    sentence = next(line for line in page.splitlines() if line.startswith("Of what the API answers, "))
    assert sentence.startswith("Of what the API answers, 401 and 403 are 8, 404 is 3, 409 is 4, 429, 502, 503 and 504 are 5;")
    assert set(OF_STATUS) == {401, 403, 404, 409, 429, 502, 503, 504}


@pytest.mark.parametrize(
    ("token", "said"), [(None, "Set LMIGRATE_TOKEN to a token"), ("hunter2", "The token is not known here: it has expired, was revoked")]
)
def test_who_is_not_known_is_told_whether_the_token_is_missing_or_not_good(token: str | None, said: str) -> None:
    with answering(401, {"detail": "Who?"}) as at:
        shown = listed(f"http://{at}", LMIGRATE_TOKEN=token)
    assert (shown.exit_code, said in shown.output, "hunter2" in shown.output) == (ExitCode.DENIED, True, False)


@pytest.fixture(scope="module")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], tuple[ssl.SSLContext, Path]]:
    """A server's side, with a certificate for that address, and the file of its authority."""
    directory = tmp_path_factory.mktemp("pki")
    authority = CertificateAuthority.load_or_make(directory / "ca", "lab")

    def made(address: str) -> tuple[ssl.SSLContext, Path]:
        install(directory / address, authority, "api", address)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        files = directory / address / "libvirt"
        context.load_cert_chain(files / "servercert.pem", files / "private/serverkey.pem")
        return context, directory / address / "CA/cacert.pem"

    return made


def test_a_certificate_that_nobody_here_knows(pki: Callable[[str], tuple[ssl.SSLContext, Path]]) -> None:
    context, authority = pki("127.0.0.1")
    with answering(200, {"hosts": [], "next_marker": None}, context) as at:
        unknown = listed(f"https://{at}")
        known = listed(f"https://{at}", LMIGRATE_CACERT=str(authority))
    assert (unknown.exit_code, "with --cacert or LMIGRATE_CACERT" in unknown.output) == (ExitCode.UNREACHABLE, True)
    assert known.exit_code == 0, known.output


def test_a_certificate_of_another_name(pki: Callable[[str], tuple[ssl.SSLContext, Path]]) -> None:
    context, authority = pki("127.0.0.9")
    with answering(200, {}, context) as at:
        shown = listed(f"https://{at}", LMIGRATE_CACERT=str(authority))
    assert (shown.exit_code, "is for another name" in shown.output, "with --cacert" in shown.output) == (ExitCode.UNREACHABLE, True, False)


def test_https_where_there_is_none() -> None:
    with answering(200, {}) as at:
        shown = listed(f"https://{at}")
    assert (shown.exit_code, "http:// instead of https://?" in shown.output) == (ExitCode.UNREACHABLE, True)


@pytest.mark.parametrize("path", ["", "/", "/v2.1", "/v2.1/"])
def test_novas_version_is_no_part_of_the_address(path: str) -> None:
    assert base_of(f"https://north.example:8774{path}") == "https://north.example:8774"
    assert base_of(f"http://[::1]/lmigrate{path}") == "http://[::1]/lmigrate"


@pytest.mark.parametrize(
    "url",
    [
        "http://h:99999",
        "http://h:0",
        "http://h:",
        "http://h:abc",
        "http://",
        "http:///x",
        "http://a b",
        " http://h",
        "h:8774",
        "http://h?x=1",
        "http://h#x",
        "http://u:hunter2@h",
        "http://u:hunter2@h:port",
    ],
)
def test_what_is_no_address_is_told_before_anything_is_sent(url: str) -> None:
    with pytest.raises(Failure) as told:
        base_of(url)
    assert (told.value.exit_code, "LMIGRATE_" in told.value.message, "hunter2" in told.value.message) == (ExitCode.USAGE, True, False)
