"""A lab in which everything speaks TLS and nobody may more than they need: what `lab up --tls` adds.

Every node has a certificate of the lab's own authority for all that it says to others; Redis has a user for each
daemon, with the rules that `lmigrate broker acl` prints; the API asks for a token, of which the lab has one.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import ssl
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from lmigrate.lab import files
from lmigrate.lab.certificates import CertificateAuthority
from lmigrate.lab.errors import LabError
from lmigrate.lab.paths import LabPaths
from lmigrate.lab.state import LabState
from lmigrate.lab.tgt import BACKEND
from lmigrate.migration import broker_acl

if TYPE_CHECKING:
    from lmigrate.lab.topology import Lab

#: may do everything in the lab's Redis: for whoever looks at it from outside
ALL = "lab"
_PREFIX = "lm:"
_DEADLINE_S = 60.0


def write_certificates(paths: LabPaths, state: LabState) -> None:
    """A certificate and a key for each node, once; the front's is for this machine's loopback address."""
    authority = CertificateAuthority.load_or_make(paths.certificates, state.options.lab_id)
    for name, address in {**state.addresses, "front": "127.0.0.1"}.items():
        certificate, key = certificate_of(paths, name), key_of(paths, name)
        if not certificate.exists():
            pair = authority.issue("localhost" if name == "front" else name, address)
            files.write(key, pair.key_pem(), files.PRIVATE)
            files.write(certificate, pair.certificate_pem())


def ca_file(paths: LabPaths) -> Path:
    """What everybody in the lab trusts."""
    return paths.certificates / "cacert.pem"


def certificate_of(paths: LabPaths, node: str) -> Path:
    """A node's certificate."""
    return paths.certificates / node / "cert.pem"


def key_of(paths: LabPaths, node: str) -> Path:
    """A node's key."""
    return paths.certificates / node / "key.pem"


def environment(paths: LabPaths, state: LabState, node: str) -> dict[str, str]:
    """What the settings of a node's processes say beside those of any lab."""
    if not state.options.secure:
        return {}
    found = {
        "LMIGRATE_TLS__CA_FILE": str(ca_file(paths)),
        "LMIGRATE_TLS__CERT_FILE": str(certificate_of(paths, node)),
        "LMIGRATE_TLS__KEY_FILE": str(key_of(paths, node)),
        "LMIGRATE_AUTH__MODE": "token",
        "LMIGRATE_CACERT": str(ca_file(paths)),
    }
    token = paths.token
    return found | ({"LMIGRATE_TOKEN": token.read_text()} if token.exists() else {})


def context(lab: Lab) -> ssl.SSLContext | None:
    """How this machine checks the API's certificate; None when it has none."""
    return ssl.create_default_context(cafile=ca_file(lab.paths)) if lab.options.secure else None


def headers(lab: Lab) -> dict[str, str]:
    """What this machine shows the API."""
    token = lab.env().get("LMIGRATE_TOKEN")
    return {} if token is None else {"Authorization": f"Bearer {token}"}


def make_token(lab: Lab) -> None:
    """The lab's own token, made in the database as an operator makes the first one; once."""
    if not lab.options.secure or lab.paths.token.exists():
        return
    from lmigrate.lab.services import lmigrate_command  # noqa: PLC0415 - it asks this module for the environment

    done = lab.front.run(lmigrate_command("token", "create", "lab", "--role", "admin", "--local", "-o", "json"), timeout_s=_DEADLINE_S)
    if done.returncode != 0:
        raise LabError(f"`lmigrate token create --local` failed: {done.stderr.strip()[-2000:]}")
    files.write(lab.paths.token, json.loads(done.stdout)["secret"], files.PRIVATE)


def broker_user_of(node: str, daemon: str | None = None) -> str:
    """Whom a daemon is in Redis."""
    if daemon == "storage":
        return f"storage.{BACKEND}"
    return broker_acl.CENTRE if node in {"ctl", "front"} else f"host.{node}"


def broker_password(state: LabState, user: str) -> str:
    """A user's password: the lab's own secret makes one for each."""
    return hmac.new(state.redis_password.encode(), user.encode(), hashlib.sha256).hexdigest()


def users_acl(state: LabState) -> str:
    """Redis' aclfile."""
    lines = ["user default off", f"user {ALL} on #{_hash(state, ALL)} ~* &* +@all"]
    return "\n".join([*lines, *(user.line(_hash(state, user.name)) for user in _users(state))]) + "\n"


def _users(state: LabState) -> Iterable[broker_acl.BrokerUser]:
    yield broker_acl.centre_user(_PREFIX)
    yield broker_acl.storage_user(BACKEND, "ctl", _PREFIX)
    for host in state.options.hosts:
        yield broker_acl.host_user(host, _PREFIX)


def _hash(state: LabState, user: str) -> str:
    return hashlib.sha256(broker_password(state, user).encode()).hexdigest()
