"""Secrets in the database under another key."""

from __future__ import annotations

from collections.abc import Sequence

from lmigrate import crypto
from lmigrate.db.session import writing
from lmigrate.db.stores import access


def rotate(keys: Sequence[str]) -> int:
    """Encrypt every secret with the first of ``keys``, all in one transaction; how many were changed.

    One that is granted anew at the same time is left as it is: whoever grants has the newest key already.

    Raises:
        NoSecretKey: there is no key.
        WrongSecretKey: one cannot be decrypted with any of them; nothing has changed.
    """
    with writing() as session:
        return sum(access.replace_token(session, uuid, token, crypto.rotate(token, keys)) for uuid, token in access.tokens(session).items())
