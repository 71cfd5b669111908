"""One certificate for Redis and PostgreSQL: what the settings become."""

from __future__ import annotations

from pathlib import Path

import pytest

from lmigrate.config import TlsSettings
from lmigrate.db.session import tls_options
from tasks.app import broker_tls

TLS = TlsSettings(ca_file=Path("/pki/ca.pem"), cert_file=Path("/pki/cert.pem"), key_file=Path("/pki/key.pem"))
URL = "postgresql+psycopg://lmigrate:x@db.example/lmigrate"


def test_redis_must_show_a_certificate_for_its_name_and_is_shown_ours() -> None:
    assert broker_tls("rediss://redis.example:6379/0", TLS) == {
        "ssl_cert_reqs": "required",
        "ssl_check_hostname": True,
        "ssl_ca_certs": "/pki/ca.pem",
        "ssl_certfile": "/pki/cert.pem",
        "ssl_keyfile": "/pki/key.pem",
    }
    assert broker_tls("rediss://redis.example:6379/0", TlsSettings()) == {"ssl_cert_reqs": "required", "ssl_check_hostname": True}


@pytest.mark.parametrize("url", ["redis://redis.example:6379/0", "redis+socket:///run/redis.sock", "memory://"])
def test_other_urls_are_left_alone(url: str) -> None:
    assert broker_tls(url, TLS) is None


def test_postgresql_is_verified_in_full_unless_its_url_says_otherwise() -> None:
    assert tls_options(URL, TLS) == {
        "sslmode": "verify-full",
        "sslrootcert": "/pki/ca.pem",
        "sslcert": "/pki/cert.pem",
        "sslkey": "/pki/key.pem",
    }
    assert tls_options(f"{URL}?sslmode=verify-ca&sslrootcert=/other.pem", TLS) == {"sslcert": "/pki/cert.pem", "sslkey": "/pki/key.pem"}
    assert tls_options(URL, TlsSettings()) == {}


def test_a_certificate_without_its_key_is_a_wrong_setting() -> None:
    with pytest.raises(ValueError, match="go together"):
        TlsSettings(cert_file=Path("/pki/cert.pem"))
