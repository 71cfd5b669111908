from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from lmigrate.clock import utcnow
from lmigrate.host.tls import check_tls
from lmigrate.lab.certificates import CertificateAuthority, install


@pytest.fixture
def pki(tmp_path: Path) -> Path:
    install(tmp_path / "pki", CertificateAuthority.load_or_make(tmp_path / "ca", "test"), "node5", "10.77.1.5")
    return tmp_path / "pki"


@pytest.mark.parametrize("address", ["node5", "NODE5", "10.77.1.5"])
def test_good_certificates_tell_when_they_end(pki: Path, address: str) -> None:
    found = check_tls(pki, address, utcnow())
    assert found.is_ready
    assert found.sentence == f"the certificates are valid until {utcnow() + timedelta(days=365):%Y-%m-%d %H:%M} UTC"


@pytest.mark.parametrize("address", ["node6", "node5.example.org", "10.77.1.6"])
def test_an_address_that_the_certificate_does_not_name(pki: Path, address: str) -> None:
    found = check_tls(pki, address, utcnow())
    assert not found.is_ready
    assert f"libvirt/servercert.pem does not name {address}" in found.sentence
    assert "client" not in found.sentence  # a client is known by its authority, not by its name


@pytest.mark.parametrize("days", [-1, 366])
def test_a_certificate_outside_its_time(pki: Path, days: int) -> None:
    found = check_tls(pki, "node5", utcnow() + timedelta(days=days))
    assert not found.is_ready
    assert "libvirt/clientcert.pem is valid from" in found.sentence


@pytest.mark.parametrize("name", ["CA/cacert.pem", "libvirt/servercert.pem", "libvirt/private/clientkey.pem", "qemu/server-key.pem"])
def test_a_missing_file(pki: Path, name: str) -> None:
    (pki / name).unlink()
    found = check_tls(pki, "node5", utcnow())
    assert (found.is_ready, found.sentence) == (False, f"{pki / name} is missing")


def test_qemu_gets_along_without_a_client_certificate_of_its_own(pki: Path) -> None:
    (pki / "qemu/client-cert.pem").unlink()
    assert check_tls(pki, "node5", utcnow()).is_ready


def test_no_pki_at_all(tmp_path: Path) -> None:
    found = check_tls(tmp_path, "node5", utcnow())
    assert not found.is_ready
    assert "libvirt/servercert.pem is missing" in found.sentence


def test_a_key_of_another_certificate(pki: Path) -> None:
    (pki / "libvirt/private/serverkey.pem").write_bytes((pki.parent / "ca/cakey.pem").read_bytes())
    found = check_tls(pki, "node5", utcnow())
    assert (found.is_ready, found.sentence) == (False, "libvirt/private/serverkey.pem is not the key of libvirt/servercert.pem")


def test_a_certificate_of_another_authority(pki: Path, tmp_path: Path) -> None:
    CertificateAuthority.load_or_make(tmp_path / "other", "other")
    (pki / "CA/cacert.pem").write_bytes((tmp_path / "other/cacert.pem").read_bytes())
    found = check_tls(pki, "node5", utcnow())
    assert "libvirt/servercert.pem is not signed by CA/cacert.pem" in found.sentence


@pytest.mark.parametrize("name", ["libvirt/servercert.pem", "libvirt/private/serverkey.pem"])
def test_a_file_with_rubbish(pki: Path, name: str) -> None:
    (pki / name).write_text("rubbish")
    found = check_tls(pki, "node5", utcnow())
    assert not found.is_ready
    assert f"{pki / name} holds no" in found.sentence
