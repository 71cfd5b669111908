"""`lmigrate db`: the schema of the database that the settings name."""

from __future__ import annotations

from pathlib import Path

import alembic.command
import click
from alembic.config import Config
from alembic.util.exc import CommandError

import lmigrate
from lmigrate.cli.daemon_cmd import checked_settings
from lmigrate.cli.exit_codes import Failure
from lmigrate.db.availability import UNAVAILABLE


class _DatabaseGroup(click.Group):
    """Shows what alembic and the database complain about as sentences."""

    def invoke(self, ctx: click.Context) -> object:
        try:
            return super().invoke(ctx)
        except CommandError as error:
            raise Failure(f"{error} `lmigrate db upgrade` brings the database to the newest revision.") from error
        except UNAVAILABLE as error:
            first = str(error).partition("\n")[0]
            raise Failure(f"The database of LMIGRATE_DATABASE__URL cannot be used: {first}") from error


@click.group(cls=_DatabaseGroup)
def db() -> None:
    """The database of LMIGRATE_DATABASE__URL: its schema."""


@db.command("upgrade")
@click.argument("revision", default="head")
def upgrade(revision: str) -> None:
    """Bring the schema to REVISION, the newest unless said. Safe to repeat.

    \b
    Example:
      LMIGRATE_CONFIG=/etc/lmigrate/lmigrate.toml lmigrate db upgrade
    """
    alembic.command.upgrade(_config(), revision)
    click.echo("The database is up to date." if revision == "head" else f"The database is at {revision}.")


@db.command("downgrade", context_settings={"ignore_unknown_options": True})  # -1 is a revision
@click.argument("revision")
def downgrade(revision: str) -> None:
    """Take the schema back to REVISION (`-1`: by one; `base`: to nothing). Data of what is removed is lost.

    \b
    Example:
      lmigrate db downgrade -1
    """
    alembic.command.downgrade(_config(), revision)
    click.echo(f"The database is at {revision}.")


@db.command("check")
def check() -> None:
    """Whether the schema is the newest and what the code expects; changes nothing.

    \b
    Example:
      lmigrate db check
    """
    alembic.command.check(_config())


def _config() -> Config:
    """Alembic's settings: the revisions lie beside the package.

    Raises:
        Failure: they do not, or lmigrate's own settings are wrong.
    """
    checked_settings()
    scripts = Path(lmigrate.__file__).resolve().parent.parent / "alembic"
    if not (scripts / "env.py").is_file():
        raise Failure(f"The revisions are not at {scripts}: run this from a source tree of lmigrate, or put `alembic/` beside the package.")
    config = Config()
    config.set_main_option("script_location", str(scripts).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    return config
