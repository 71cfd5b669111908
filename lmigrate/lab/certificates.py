"""The lab's own certificate authority: one certificate per host, for libvirt and for QEMU.

Keys and certificates are made once and kept in the lab's directory, which goes with the lab.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from lmigrate.clock import utcnow
from lmigrate.lab import files

_LIFETIME = timedelta(days=365)
_CLOCK_SKEW = timedelta(hours=1)


@dataclass(frozen=True)
class KeyPair:
    """A certificate and its private key."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    def certificate_pem(self) -> bytes:
        """The certificate, for files that anybody may read."""
        return self.certificate.public_bytes(serialization.Encoding.PEM)

    def key_pem(self) -> bytes:
        """The key, unencrypted, for a private file."""
        return self.key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())


class CertificateAuthority:
    """Signs the certificates of one lab."""

    def __init__(self, pair: KeyPair) -> None:
        self._pair = pair

    @classmethod
    def load_or_make(cls, directory: Path, lab_id: str) -> CertificateAuthority:
        """The authority kept in ``directory``, made on first use."""
        certificate, key = directory / "cacert.pem", directory / "cakey.pem"
        if certificate.exists() and key.exists():
            return cls(_load(certificate, key))
        pair = _make_authority(f"lmigrate lab {lab_id}")
        files.write(key, pair.key_pem(), files.PRIVATE)
        files.write(certificate, pair.certificate_pem())
        return cls(pair)

    def certificate_pem(self) -> bytes:
        """What the hosts trust."""
        return self._pair.certificate_pem()

    def issue(self, name: str, address: str) -> KeyPair:
        """A certificate for a host, good as server and as client, for its name and its address."""
        key = ec.generate_private_key(ec.SECP256R1())
        names = x509.SubjectAlternativeName([x509.DNSName(name), x509.IPAddress(ipaddress.ip_address(address))])
        usages = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH])
        builder = (
            _builder(name, self._pair.certificate.subject, key)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_key_usage(signs_certificates=False), critical=True)
            .add_extension(usages, critical=False)
            .add_extension(names, critical=False)
        )
        return KeyPair(builder.sign(self._pair.key, hashes.SHA256()), key)


def install(pki: Path, authority: CertificateAuthority, name: str, address: str) -> None:
    """Fill a host's ``/etc/pki`` (reached at ``pki``) with the files that libvirt and QEMU look for; once."""
    if (pki / "CA/cacert.pem").exists():
        return
    pair = authority.issue(name, address)
    for side in ("server", "client"):
        files.write(pki / f"libvirt/{side}cert.pem", pair.certificate_pem())
        files.write(pki / f"libvirt/private/{side}key.pem", pair.key_pem(), files.PRIVATE)
        files.write(pki / f"qemu/{side}-cert.pem", pair.certificate_pem())
        files.write(pki / f"qemu/{side}-key.pem", pair.key_pem(), files.PRIVATE)
    files.write(pki / "qemu/ca-cert.pem", authority.certificate_pem())
    files.write(pki / "CA/cacert.pem", authority.certificate_pem())


def _load(certificate: Path, key: Path) -> KeyPair:
    loaded = serialization.load_pem_private_key(key.read_bytes(), password=None)
    if not isinstance(loaded, ec.EllipticCurvePrivateKey):
        raise TypeError(f"{key} is not an elliptic curve key")
    return KeyPair(x509.load_pem_x509_certificate(certificate.read_bytes()), loaded)


def _make_authority(name: str) -> KeyPair:
    key = ec.generate_private_key(ec.SECP256R1())
    builder = (
        _builder(name, _subject(name), key)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_key_usage(signs_certificates=True), critical=True)
    )
    return KeyPair(builder.sign(key, hashes.SHA256()), key)


def _builder(name: str, issuer: x509.Name, key: ec.EllipticCurvePrivateKey) -> x509.CertificateBuilder:
    now = utcnow()
    return (
        x509.CertificateBuilder()
        .subject_name(_subject(name))
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _CLOCK_SKEW)
        .not_valid_after(now + _LIFETIME)
    )


def _subject(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _key_usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        key_encipherment=not signs_certificates,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        content_commitment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )
