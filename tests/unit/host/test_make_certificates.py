"""contrib/make-certificates makes what libvirt, QEMU and our own check of them want."""

from __future__ import annotations

import ssl
import stat
import subprocess
from pathlib import Path

import pytest

from lmigrate.clock import utcnow
from lmigrate.host.tls import check_tls

pytestmark = pytest.mark.one_database


def make(repository: Path, directory: Path, *hosts: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([repository / "contrib/make-certificates", directory, *hosts], capture_output=True, text=True, check=False)


def test_a_host_is_ready_by_name_and_by_address(repository: Path, tmp_path: Path) -> None:
    done = make(repository, tmp_path, "node5=10.0.0.5", "node6=10.0.0.6")
    assert done.returncode == 0, done.stderr
    for host, address in [("node5", "10.0.0.5"), ("node6", "10.0.0.6")]:
        assert check_tls(tmp_path / host, host, utcnow()).is_ready
        assert check_tls(tmp_path / host, address, utcnow()).is_ready
    assert "does not name node6" in check_tls(tmp_path / "node5", "node6", utcnow()).sentence
    private = tmp_path / "node5/libvirt/private/serverkey.pem"
    assert stat.S_IMODE(private.stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "node5/qemu/server-key.pem").stat().st_mode) == 0o640


def test_a_host_named_later_has_the_same_authority(repository: Path, tmp_path: Path) -> None:
    make(repository, tmp_path, "node5=10.0.0.5")
    before = (tmp_path / "node5/cert.pem").read_bytes()
    assert make(repository, tmp_path, "node5=10.0.0.5", "node7=10.0.0.7").returncode == 0
    assert (tmp_path / "node5/cert.pem").read_bytes() == before
    ssl.create_default_context(cafile=str(tmp_path / "node5/CA/cacert.pem")).load_cert_chain(
        tmp_path / "node7/cert.pem", tmp_path / "node7/key.pem"
    )
    assert (tmp_path / "node5/CA/cacert.pem").read_bytes() == (tmp_path / "node7/CA/cacert.pem").read_bytes()


@pytest.mark.parametrize(
    ("hosts", "said"),
    [
        ([], "at least one NAME=ADDRESS"),
        (["node5"], "'node5' is not NAME=ADDRESS"),
        (["../x=10.0.0.5"], "'../x' is no NAME"),
        (["a..b=10.0.0.5"], "'a..b' is no NAME"),
        ([f"{'n' * 64}=10.0.0.5"], "at most 63"),
        (["authority=10.0.0.5"], "no host can be called 'authority'"),
        (["node5=10.0.0.999"], "'10.0.0.999' of node5 is no IP address"),
        (["node5=fd00::1::2"], "is no IP address"),
        (["node5="], "'' of node5 is no IP address"),
        (["node5=10.0.0.5", "node5=10.0.0.6"], "node5 is named twice"),
        (["node6=10.0.0.6", "node5=node5.example"], "'node5.example' of node5"),
    ],
)
def test_nonsense_is_refused_before_anything_is_made(repository: Path, tmp_path: Path, hosts: list[str], said: str) -> None:
    done = make(repository, tmp_path / "pki", *hosts)
    assert (done.returncode, said in done.stderr, "usage: make-certificates DIRECTORY" in done.stderr) == (2, True, True), done.stderr
    assert not (tmp_path / "pki").exists()


def test_a_directory_is_not_forgotten(repository: Path, tmp_path: Path) -> None:
    program = [repository / "contrib/make-certificates"]
    for arguments in ([], ["node5=10.0.0.5", "node6=10.0.0.6"], ["--days", "node5=10.0.0.5"]):
        done = subprocess.run([*program, *arguments], capture_output=True, text=True, check=False, cwd=tmp_path)
        assert (done.returncode, "DIRECTORY" in done.stderr, list(tmp_path.iterdir())) == (2, True, []), done.stderr
    told = subprocess.run([*program, "--help"], capture_output=True, text=True, check=False)
    assert (told.returncode, "DIRECTORY NAME=ADDRESS..." in told.stdout, "#" in told.stdout) == (0, True, False), told.stdout


def test_a_host_at_another_address_needs_another_certificate(repository: Path, tmp_path: Path) -> None:
    assert make(repository, tmp_path, "node5=10.0.0.5", "node6=fd00::6").returncode == 0
    assert make(repository, tmp_path, "node5=10.0.0.5", "node6=fd00::6").returncode == 0
    moved = make(repository, tmp_path, "node5=10.0.0.55")
    assert (moved.returncode, "is for another address than 10.0.0.55" in moved.stderr) == (2, True)
