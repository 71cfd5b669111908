"""Bearer tokens: made once, shown once, kept as a hash.

A token is 256 random bits.  That is why a plain SHA-256 is enough at rest: the slow, salted hashes
(bcrypt, argon2) make up for passwords that people choose and that can be guessed; nobody guesses one
of 2**256, salt or none, and a fast hash lets every request be checked with one indexed look-up.
For the same reason the comparison needs no constant time: what the index compares is the digest,
of which a caller cannot choose the leading bytes.

A token is also its owner's password: HTTP basic and the small Keystone take the token's name and the token.
"""

from __future__ import annotations

import hashlib
import re
import secrets
from datetime import datetime, timedelta
from typing import Literal

import structlog

from lmigrate.db.availability import UNAVAILABLE
from lmigrate.db.clock import utcnow
from lmigrate.db.models import ApiToken
from lmigrate.db.session import reading, writing
from lmigrate.db.stores import tokens as store
from lmigrate.errors import InvalidInput
from lmigrate.ids import new_uuid
from lmigrate.states import Role

log = structlog.get_logger(__name__)

#: lets secret scanners and people recognise one
PREFIX = "lmt_"
_BYTES = 32
#: longer than any that was ever made; what is longer is not even hashed
MAX_LENGTH = 128
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,62}\Z")
#: a use is noted at most so often
NOTE_EVERY = timedelta(minutes=1)


def digest(secret: str) -> str:
    """What is kept of a token."""
    return hashlib.sha256(secret.encode()).hexdigest()


def create(name: str, role: Role, created_by: str, lifetime: timedelta | None = None) -> tuple[ApiToken, str]:
    """A new token, and the secret itself, which is kept nowhere.

    Raises:
        InvalidInput: the name cannot be one.
    """
    if not NAME.match(name):
        raise InvalidInput(
            field="name", value=name, remedy="1 to 63 letters, digits, '.', '_', '@' and '-', beginning with a letter or digit."
        )
    ends = None if lifetime is None else utcnow() + lifetime
    return _keep(ApiToken(name=name, role=role, created_by=created_by, expires_at=ends))


def open_session(token: ApiToken, lifetime: timedelta) -> tuple[ApiToken, str]:
    """A token that ends after ``lifetime``, and with ``token`` at the latest.

    A session of a session ends with it: nobody prolongs what was given to them.
    """
    ends = utcnow() + lifetime
    ends = ends if token.expires_at is None else min(ends, token.expires_at)
    parent = token.parent_uuid or token.uuid
    return _keep(ApiToken(name=token.name, role=token.role, created_by=token.name, expires_at=ends, parent_uuid=parent))


def _keep(row: ApiToken) -> tuple[ApiToken, str]:
    secret = PREFIX + secrets.token_urlsafe(_BYTES)
    row.uuid, row.digest = new_uuid(), digest(secret)
    with writing() as session:
        session.add(row)
    return row, secret


def authenticate(secret: str) -> ApiToken | None:
    """The token that ``secret`` is, if it is good now; a session is if the token that opened it is, too.

    That is asked each time: a session that was opened while its token was being revoked has not been revoked with it.
    """
    if not 0 < len(secret) <= MAX_LENGTH:
        return None
    with reading() as session:
        found = store.by_digest(session, digest(secret))
        first = None if found is None else store.first_of(session, found)
    now = utcnow()
    return found if found is not None and first is not None and is_good(found, now) and is_good(first, now) else None


def are_there_any() -> bool:
    """Whether anybody has one that is good."""
    with reading() as session:
        return store.is_any_good(session, utcnow())


def is_good(token: ApiToken, now: datetime) -> bool:
    """Whether it is neither revoked nor expired at ``now``."""
    return state_of(token, now) == "good"


def state_of(token: ApiToken, now: datetime) -> Literal["good", "revoked", "expired"]:
    """What has become of it."""
    if token.revoked_at is not None:
        return "revoked"
    return "expired" if token.expires_at is not None and token.expires_at <= now else "good"


def note_use(token: ApiToken, address: str) -> None:
    """Remember when and from where it was used, at most once a minute.  A database that is busy only loses the note."""
    now = utcnow()
    if token.last_used_at is not None and now - token.last_used_at < NOTE_EVERY:
        return
    try:
        with writing() as session:
            for uuid in {token.uuid, token.parent_uuid} - {None}:
                store.touch(session, str(uuid), now, address, NOTE_EVERY)
    except UNAVAILABLE as error:
        log.warning("the use of a token could not be noted", token=token.uuid, error=type(error).__name__)
