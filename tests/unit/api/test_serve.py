"""What the worker does besides making the application."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from api.serve import UnusableCertificate, require_usable
from lmigrate.cli.exit_codes import ExitCode
from lmigrate.lab.certificates import CertificateAuthority, install

#: in a process of its own: loading sets up logs, and freezes every object that there is
SCRIPT = """
import gc
from api.serve import Server

app = Server().load()
print(gc.get_freeze_count(), app.test_client().get("/healthz").status_code)
"""


def test_a_worker_does_not_collect_what_was_there_before_its_first_request(database: str) -> None:
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True)
    frozen, status = done.stdout.split()
    assert int(frozen) > 10_000
    assert status == "200"


@pytest.fixture
def pair(tmp_path: Path) -> dict[str, str]:
    install(tmp_path / "pki", CertificateAuthority.load_or_make(tmp_path / "ca", "lab"), "api", "127.0.0.1")
    files = tmp_path / "pki/libvirt"
    return {"certfile": str(files / "servercert.pem"), "keyfile": str(files / "private/serverkey.pem")}


def test_a_certificate_that_can_be_used(pair: dict[str, str]) -> None:
    require_usable(pair)
    require_usable({})


@pytest.mark.parametrize("content", [None, "nothing", "key of another"])
def test_a_certificate_that_cannot_is_named_with_the_setting(tmp_path: Path, pair: dict[str, str], content: str | None) -> None:
    key = tmp_path / "key.pem"
    if content == "key of another":
        install(tmp_path / "other", CertificateAuthority.load_or_make(tmp_path / "ca", "lab"), "other", "127.0.0.1")
        content = (tmp_path / "other/libvirt/private/serverkey.pem").read_text()
    if content is not None:
        key.write_text(content)
    with pytest.raises(UnusableCertificate, match=rf"tls\.key_file \({key}\) cannot be used: \S+"):
        require_usable(pair | {"keyfile": str(key)})


def test_the_api_ends_as_other_commands_do_on_wrong_settings(database: str) -> None:
    wrong = {"LMIGRATE_TLS__CERT_FILE": "/nowhere.pem", "LMIGRATE_TLS__KEY_FILE": "/nowhere.key"}
    done = subprocess.run([sys.executable, "-m", "api.serve"], capture_output=True, text=True, check=False, env={**os.environ, **wrong})
    assert (done.returncode, done.stderr.startswith("Error: tls.cert_file (/nowhere.pem)")) == (ExitCode.USAGE, True), done.stderr
