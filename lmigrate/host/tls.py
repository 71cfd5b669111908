"""Whether a host's certificates are good for a migration over TLS."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key
from cryptography.x509.oid import NameOID


@dataclass(frozen=True)
class TlsReadiness:
    """The answer, and the sentence that goes with it."""

    is_ready: bool
    sentence: str  # what is wrong, or until when the certificates are valid


@dataclass(frozen=True)
class _Identity:
    """Three files under the PKI directory that make one side of a TLS connection."""

    certificate: str
    key: str
    authority: str
    is_server: bool
    is_optional: bool = False


#: where libvirt and QEMU look unless told otherwise: https://libvirt.org/kbase/tlscerts.html
_IDENTITIES = (
    _Identity("libvirt/servercert.pem", "libvirt/private/serverkey.pem", "CA/cacert.pem", is_server=True),
    _Identity("libvirt/clientcert.pem", "libvirt/private/clientkey.pem", "CA/cacert.pem", is_server=False),
    _Identity("qemu/server-cert.pem", "qemu/server-key.pem", "qemu/ca-cert.pem", is_server=True),
    _Identity("qemu/client-cert.pem", "qemu/client-key.pem", "qemu/ca-cert.pem", is_server=False, is_optional=True),
)


def check_tls(pki_dir: Path, address: str, now: datetime) -> TlsReadiness:
    """Look at the files below ``pki_dir``; ``address`` is what the other hosts connect to."""
    problems: list[str] = []
    ends: list[datetime] = []
    for identity in _IDENTITIES:
        if identity.is_optional and not (pki_dir / identity.certificate).exists():
            continue
        try:
            ends.append(_check(pki_dir, identity, address, now))
        except _Unfit as unfit:
            problems.append(str(unfit))
    if problems:
        return TlsReadiness(is_ready=False, sentence="; ".join(dict.fromkeys(problems)))
    return TlsReadiness(is_ready=True, sentence=f"the certificates are valid until {min(ends):%Y-%m-%d %H:%M} UTC")


class _Unfit(Exception):
    """One thing that is wrong with one identity."""


def _check(pki_dir: Path, identity: _Identity, address: str, now: datetime) -> datetime:
    """When the identity ends; raises _Unfit."""
    certificate, *chain = _certificates(pki_dir / identity.certificate)
    name = identity.certificate
    if now < certificate.not_valid_before_utc or now >= certificate.not_valid_after_utc:
        span = f"{certificate.not_valid_before_utc:%Y-%m-%d %H:%M} to {certificate.not_valid_after_utc:%Y-%m-%d %H:%M} UTC"
        raise _Unfit(f"{name} is valid from {span} only")
    if _public_key(pki_dir / identity.key) != certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo):
        raise _Unfit(f"{identity.key} is not the key of {name}")
    authorities = _certificates(pki_dir / identity.authority)
    if not any(_is_issued_by(certificate, issuer) for issuer in [*chain, *authorities]):
        raise _Unfit(f"{name} is not signed by {identity.authority}")
    if identity.is_server and not _names(certificate, address):
        raise _Unfit(f"{name} does not name {address}, at which the other hosts connect")
    return min(certificate.not_valid_after_utc, max(authority.not_valid_after_utc for authority in authorities))


def _certificates(path: Path) -> list[x509.Certificate]:
    try:
        return x509.load_pem_x509_certificates(_read(path))
    except ValueError as error:
        raise _Unfit(f"{path} holds no certificate ({error})") from error


def _public_key(path: Path) -> bytes:
    try:
        key = load_pem_private_key(_read(path), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise _Unfit(f"{path} holds no usable private key ({error})") from error
    return key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError as error:
        raise _Unfit(f"{path} is missing") from error
    except OSError as error:
        raise _Unfit(f"{path} cannot be read ({error.strerror})") from error


def _is_issued_by(certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(issuer)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True


def _names(certificate: x509.Certificate, address: str) -> bool:
    """Whether a client that connects to ``address`` will accept the certificate."""
    dns_names, addresses = _alternative_names(certificate)
    try:
        return ipaddress.ip_address(address) in addresses
    except ValueError:
        return any(_matches(pattern, address) for pattern in dns_names)


def _alternative_names(certificate: x509.Certificate) -> tuple[list[str], list[object]]:
    """DNS names and addresses; the common name counts only where there are no alternative names, as in GnuTLS."""
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return [str(part.value) for part in certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)], []
    return list(names.get_values_for_type(x509.DNSName)), list(names.get_values_for_type(x509.IPAddress))


def _matches(pattern: str, name: str) -> bool:
    """A leading ``*.`` stands for exactly one label."""
    pattern, name = pattern.lower(), name.lower()
    if pattern.startswith("*."):
        return "." in name and name.split(".", 1)[1] == pattern[2:]
    return pattern == name
