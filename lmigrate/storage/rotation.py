"""Secrets in the database under another key."""

from __future__ import annotations

from collections.abc import Sequence

from lmigrate import crypto
from lmigrate.db.session import writing
from lmigrate.db.stores import access


def rotate(keys: Sequence[str]) -> int:
    """Encrypt every secret with the first of ``keys``, all in one transaction; how many there were.

    Raises:
        NoSecretKey: there is no key.
        WrongSecretKey: one cannot be decrypted with any of them; nothing has changed.
    """
    with writing() as session:
        found = access.tokens(session)
        for uuid, token in found.items():
            access.replace_token(session, uuid, crypto.rotate(token, keys))
    return len(found)
