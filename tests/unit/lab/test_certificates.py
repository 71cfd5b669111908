from __future__ import annotations

import stat
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.x509.oid import ExtendedKeyUsageOID
from cryptography.x509.verification import PolicyBuilder, Store, VerificationError

from lmigrate.lab import certificates
from lmigrate.lab.certificates import CertificateAuthority

FILES = {
    "CA/cacert.pem",
    "libvirt/servercert.pem",
    "libvirt/clientcert.pem",
    "libvirt/private/serverkey.pem",
    "libvirt/private/clientkey.pem",
    "qemu/ca-cert.pem",
    "qemu/server-cert.pem",
    "qemu/server-key.pem",
    "qemu/client-cert.pem",
    "qemu/client-key.pem",
}


@pytest.fixture
def authority(tmp_path: Path) -> CertificateAuthority:
    return CertificateAuthority.load_or_make(tmp_path / "ca", "lab")


@pytest.fixture
def pki(tmp_path: Path, authority: CertificateAuthority) -> Path:
    certificates.install(tmp_path / "pki", authority, "node5", "10.77.1.11")
    return tmp_path / "pki"


def test_the_files_are_those_that_libvirt_and_qemu_look_for(pki: Path) -> None:
    assert {str(path.relative_to(pki)) for path in pki.rglob("*") if path.is_file()} == FILES


def test_keys_are_for_their_owner_only(pki: Path, tmp_path: Path) -> None:
    keys = [path for path in [*pki.rglob("*"), *(tmp_path / "ca").iterdir()] if path.name.endswith("key.pem")]
    assert len(keys) == 5
    assert {stat.S_IMODE(path.stat().st_mode) for path in keys} == {0o600}


def test_a_certificate_is_good_for_its_host_and_no_other(pki: Path) -> None:
    trusted = Store([x509.load_pem_x509_certificate((pki / "CA/cacert.pem").read_bytes())])
    certificate = x509.load_pem_x509_certificate((pki / "libvirt/servercert.pem").read_bytes())
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["node5"]
    assert [str(address) for address in names.get_values_for_type(x509.IPAddress)] == ["10.77.1.11"]
    usages = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert set(usages) == {ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH}
    with pytest.raises(VerificationError):
        PolicyBuilder().store(trusted).build_server_verifier(x509.DNSName("node6")).verify(certificate, [])


def test_the_key_belongs_to_the_certificate(pki: Path) -> None:
    key = serialization.load_pem_private_key((pki / "qemu/server-key.pem").read_bytes(), password=None)
    certificate = x509.load_pem_x509_certificate((pki / "qemu/server-cert.pem").read_bytes())
    assert key.public_key() == certificate.public_key()


def test_the_authority_is_made_once(tmp_path: Path, authority: CertificateAuthority) -> None:
    assert CertificateAuthority.load_or_make(tmp_path / "ca", "lab").certificate_pem() == authority.certificate_pem()


def test_a_host_keeps_its_certificate(pki: Path, authority: CertificateAuthority) -> None:
    before = (pki / "libvirt/servercert.pem").read_bytes()
    certificates.install(pki, authority, "node5", "10.77.1.11")
    assert (pki / "libvirt/servercert.pem").read_bytes() == before
