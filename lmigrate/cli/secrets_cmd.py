"""`lmigrate secrets`: the keys under which secrets (CHAP passwords …) lie in the database."""

from __future__ import annotations

import click

from lmigrate import crypto
from lmigrate.cli.daemon_cmd import configured
from lmigrate.cli.exit_codes import Failure
from lmigrate.crypto import NoSecretKey, WrongSecretKey
from lmigrate.db.availability import UNAVAILABLE
from lmigrate.storage.rotation import rotate


@click.group()
def secrets() -> None:
    """Keys of the secrets in the database: LMIGRATE_SECRETS__KEYS, newest first, the same for every daemon."""


@secrets.command("new-key")
def new_key() -> None:
    """Print a fresh key. It is kept nowhere else.

    \b
    Example:
      lmigrate secrets new-key
    """
    click.echo(crypto.new_key())


@secrets.command("rotate")
def rotate_secrets() -> None:
    """Encrypt every secret in the database with the newest key. Safe to repeat, and while everything runs.

    \b
    To replace a key:
      1. put the new one first in LMIGRATE_SECRETS__KEYS, keep the old one behind it, restart every daemon
      2. lmigrate secrets rotate
      3. take the old one out, restart every daemon

    \b
    Example:
      lmigrate secrets rotate
    """
    try:
        count = rotate(configured().secrets.plain_keys)
    except (NoSecretKey, WrongSecretKey) as error:
        raise Failure(f"{error} Nothing was changed.") from error
    except UNAVAILABLE as error:
        first = str(error).partition("\n")[0]
        raise Failure(f"The database of LMIGRATE_DATABASE__URL cannot be used: {first}") from error
    click.echo(f"{count} secrets are under the newest key.")
