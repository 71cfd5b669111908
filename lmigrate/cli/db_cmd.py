"""`lmigrate db`: the schema of the database that the settings name."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import alembic.command
import click
from alembic.config import Config
from alembic.script import ScriptDirectory
from alembic.script.revision import RevisionError
from alembic.util.exc import CommandError

import lmigrate
from lmigrate.cli.daemon_cmd import checked_settings
from lmigrate.cli.exit_codes import ExitCode, Failure
from lmigrate.db.availability import UNAVAILABLE

#: an id or its beginning, head and base among them, or so many steps from where the database is
_REVISION = re.compile(r"\w+|[+-]\d+", re.ASCII)


class _DatabaseGroup(click.Group):
    """Shows what alembic and the database complain about as sentences."""

    def invoke(self, ctx: click.Context) -> object:
        try:
            return super().invoke(ctx)
        except CommandError as error:
            raise Failure(f"{str(error).rstrip('.')}. `lmigrate db upgrade` brings the database to the newest revision.") from error
        except UNAVAILABLE as error:
            first = str(error).partition("\n")[0]
            raise Failure(f"The database of LMIGRATE_DATABASE__URL cannot be used: {first}") from error


def _revision(_ctx: click.Context, _param: click.Parameter, value: str) -> str:
    if not _REVISION.fullmatch(value):
        raise click.BadParameter(f"{value!r} cannot be a revision: head, base, an id, +N or -N")
    return value


@click.group(cls=_DatabaseGroup)
def db() -> None:
    """The database of LMIGRATE_DATABASE__URL: its schema."""


@db.command("upgrade")
@click.argument("revision", default="head", callback=_revision)
def upgrade(revision: str) -> None:
    """Bring the schema to REVISION, the newest unless said. Safe to repeat.

    \b
    Example:
      LMIGRATE_CONFIG=/etc/lmigrate/lmigrate.toml lmigrate db upgrade
    """
    _go(alembic.command.upgrade, revision)
    click.echo("The database is up to date." if revision == "head" else f"The database is at {revision}.")


@db.command("downgrade", context_settings={"ignore_unknown_options": True})  # -1 is a revision
@click.argument("revision", callback=_revision)
def downgrade(revision: str) -> None:
    """Take the schema back to REVISION (`-1`: by one; `base`: to nothing). Data of what is removed is lost.

    \b
    Example:
      lmigrate db downgrade -1
    """
    _go(alembic.command.downgrade, revision)
    click.echo(f"The database is at {revision}.")


@db.command("check")
def check() -> None:
    """Whether the schema is the newest and what the code expects; changes nothing.

    \b
    Example:
      lmigrate db check
    """
    alembic.command.check(_config())


def _go(there: Callable[[Config, str], None], revision: str) -> None:
    """Take the schema to ``revision``.

    Raises:
        Failure: there is no such revision, or not so many from where the database is.
    """
    config = _config()
    none = Failure(f"There is no revision {revision}. `lmigrate db upgrade` goes to the newest.", ExitCode.NOT_FOUND)
    try:
        if revision[0] not in "+-":
            ScriptDirectory.from_config(config).get_revision(revision)
    except CommandError as error:
        raise none from error
    try:
        there(config, revision)
    except CommandError as error:
        if type(error.__cause__) is RevisionError:  # not one of its kinds, which are about where the database is
            raise none from error
        raise


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
