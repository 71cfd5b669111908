"""Secrets at rest: encrypted and authenticated with the keys of the settings (Fernet, https://github.com/fernet/spec)."""

from __future__ import annotations

from collections.abc import Sequence

from cryptography.fernet import Fernet, InvalidToken, MultiFernet

from lmigrate.errors import LmigrateError


class NoSecretKey(LmigrateError):
    """There are secrets to keep, but no key: set LMIGRATE_SECRETS__KEYS on every daemon, made by `lmigrate secrets new-key`."""


class WrongSecretKey(LmigrateError):
    """A secret in the database cannot be decrypted: no key in LMIGRATE_SECRETS__KEYS fits it."""


def new_key() -> str:
    """A fresh key."""
    return Fernet.generate_key().decode()


def encrypt(text: str, keys: Sequence[str]) -> str:
    """``text`` under the first key; equal texts give different results.

    Raises:
        NoSecretKey: ``keys`` is empty.
    """
    return _fernet(keys).encrypt(text.encode()).decode()


def decrypt(token: str, keys: Sequence[str]) -> str:
    """The inverse of `encrypt`, with any of ``keys``.

    Raises:
        NoSecretKey, WrongSecretKey.
    """
    try:
        return _fernet(keys).decrypt(token.encode()).decode()
    except InvalidToken as error:
        raise WrongSecretKey from error


def rotate(token: str, keys: Sequence[str]) -> str:
    """The same secret under the first key.

    Raises:
        NoSecretKey, WrongSecretKey.
    """
    try:
        return _fernet(keys).rotate(token.encode()).decode()
    except InvalidToken as error:
        raise WrongSecretKey from error


def _fernet(keys: Sequence[str]) -> MultiFernet:
    if not keys:
        raise NoSecretKey
    return MultiFernet([Fernet(key) for key in keys])
