"""The processes of lmigrate: each command becomes the process that it starts (no child, no shell)."""

from __future__ import annotations

import os
import secrets
import signal
import sys

import click
from pydantic import SecretStr

from lmigrate import log
from lmigrate.cli.exit_codes import ExitCode, Failure
from lmigrate.config import Settings, settings
from lmigrate.wrong_settings import WrongSettings

_CELERY = [sys.executable, "-m", "celery", "-A", "tasks.app"]
#: neither is of use with one worker per queue, and both cost Redis a connection and traffic for each
_QUIET = ["--without-gossip", "--without-mingle", "--heartbeat-interval", "15"]


@click.group()
def api() -> None:
    """The HTTP API."""


@api.command("run")
def run_api() -> None:
    """Serve the HTTP API at LMIGRATE_API__BIND.

    \b
    Example:
      LMIGRATE_API__BIND=127.0.0.1:8774 lmigrate api run
    """
    configured()
    become([sys.executable, "-m", "api.serve"])


@click.group()
def conductor() -> None:
    """The conductor: chooses destinations, rolls back, reconciles."""


@conductor.command("run")
def run_conductor() -> None:
    """Run a conductor; several may run side by side.

    \b
    Example:
      LMIGRATE_CONFIG=/etc/lmigrate/lmigrate.toml lmigrate conductor run
    """
    become(conductor_argv(configured()))


@click.group()
def storage() -> None:
    """The storage daemon: grants hosts access to volumes."""


@storage.command("run")
def run_storage() -> None:
    """Run the storage daemon of the backend LMIGRATE_STORAGE__SERVES, beside that storage.

    Without any backend in the settings it does nothing until it is ended, so that one Procfile does for all.

    \b
    Example:
      LMIGRATE_STORAGE__SERVES=san1 lmigrate storage run
    """
    options = configured()
    if not options.storage.backends and options.storage.serves is None:
        click.echo("There is no storage backend in the settings (storage.backends): nothing to serve.")
        signal.pause()
        return
    become(storage_argv(options))


@click.group()
def beat() -> None:
    """The clock of the periodic tasks."""


@beat.command("run")
def run_beat() -> None:
    """Run the clock; a second one does no harm.

    \b
    Example:
      LMIGRATE_CONFIG=/etc/lmigrate/lmigrate.toml lmigrate beat run
    """
    configured()
    become(beat_argv())


@click.group()
def flower() -> None:
    """Flower, the page that shows Celery's tasks."""


@flower.command("run")
@click.option("--draw-password", is_flag=True, help="If none is set, draw one and print it, for as long as this process runs.")
def run_flower(*, draw_password: bool) -> None:
    """Serve Flower at LMIGRATE_FLOWER__BIND, behind the password of LMIGRATE_FLOWER__BASIC_AUTH.

    \b
    Examples:
      LMIGRATE_FLOWER__BASIC_AUTH=admin:secret lmigrate flower run
      lmigrate flower run --draw-password
    """
    options = configured()
    if draw_password and options.flower.basic_auth is None:
        options = _with_drawn_password(options)
    argv, environment = flower_process(options)
    become(argv, environment)


def _with_drawn_password(options: Settings) -> Settings:
    drawn = f"lmigrate:{secrets.token_urlsafe(12)}"
    click.echo(f"Flower at http://{options.flower.bind}: {drawn} was drawn as its user and password, since flower.basic_auth is not set.")
    return options.model_copy(update={"flower": options.flower.model_copy(update={"basic_auth": SecretStr(drawn)})})


def configured() -> Settings:
    """The settings of a daemon, with logs set up.

    Raises:
        Failure: a setting is wrong; it says which.
    """
    found = checked_settings()
    log.configure(found.log)
    return found


def checked_settings() -> Settings:
    """The settings.

    Raises:
        Failure: one is wrong; it says which.
    """
    try:
        return settings()
    except WrongSettings as error:
        raise Failure(str(error), ExitCode.USAGE) from error


def conductor_argv(options: Settings) -> list[str]:
    """The conductor's command line."""
    threads = ["-P", "threads", "-c", str(options.conductor.concurrency)]
    return [*_CELERY, "worker", *threads, "-Q", "conductor", "-n", "conductor@%h", *_QUIET]


def storage_argv(options: Settings) -> list[str]:
    """The storage daemon's command line.  One thread: a backend's control commands must not interleave.

    Raises:
        Failure: it does not say which backend it serves, or that backend is not in the settings.
    """
    name = options.storage.serves
    if name is None or name not in options.storage.backends:
        known = ", ".join(options.storage.backends) or "none"
        raise Failure(f"Set LMIGRATE_STORAGE__SERVES to one of the backends in storage.backends ({known}).", ExitCode.USAGE)
    return [*_CELERY, "worker", "-P", "threads", "-c", "1", "-Q", f"storage.{name}", "-n", f"storage@{name}", *_QUIET]


def beat_argv() -> list[str]:
    """The clock's command line: a schedule kept in memory, since it is fixed and a file would only be in the way."""
    return [*_CELERY, "beat", "--scheduler", "celery.beat:Scheduler"]


def flower_process(options: Settings) -> tuple[list[str], dict[str, str]]:
    """Flower's command line, and the password in the environment, where other users cannot read it.

    Raises:
        Failure: no password is set.
    """
    password = options.flower.basic_auth
    if password is None or ":" not in password.get_secret_value():
        raise Failure("Flower does not start without a password: set LMIGRATE_FLOWER__BASIC_AUTH to user:password.", ExitCode.USAGE)
    address, _, port = options.flower.bind.rpartition(":")
    argv = [*_CELERY, "flower", f"--address={address.strip('[]')}", f"--port={port}"]
    return argv, {"FLOWER_BASIC_AUTH": password.get_secret_value()}


def become(argv: list[str], environment: dict[str, str] | None = None) -> None:
    """Replace this process by ``argv``, so that signals and exit codes are its own."""
    sys.stdout.flush()
    sys.stderr.flush()
    os.execvpe(argv[0], argv, {**os.environ, **(environment or {})})  # noqa: S606, TID251 - a program gets its environment from here
