"""`lmigrate broker`: what Redis must know of lmigrate's daemons."""

from __future__ import annotations

import hashlib
import secrets

import click

from lmigrate.cli.daemon_cmd import checked_settings
from lmigrate.cli.exit_codes import ExitCode, Failure
from lmigrate.ids import is_host_name
from lmigrate.migration.broker_acl import BrokerUser, centre_user, host_user, storage_user


@click.group()
def broker() -> None:
    """The broker (Redis): a user for each daemon."""


@broker.command("acl")
@click.option("--host", "hosts", multiple=True, metavar="NAME", help="A hypervisor host, as LMIGRATE_HOST__NAME calls it. May be repeated.")
@click.option(
    "--storage", multiple=True, metavar="BACKEND=MACHINE", help="A storage daemon and the machine that it runs on. May be repeated."
)
def print_acl(hosts: tuple[str, ...], storage: tuple[str, ...]) -> None:
    """Print Redis' aclfile: a user for each host and storage daemon, and `centre` for conductors, beat, API and Flower.

    The file goes to standard output and holds hashes only; the passwords, drawn anew, go to standard error. Each belongs into the
    broker.url of that daemon: rediss://host.node5:PASSWORD@redis.example:6379/0.

    \b
    Examples:
      lmigrate broker acl --host node5 --host node6
      lmigrate broker acl --host node5 --storage san1=stor1 > users.acl
    """
    prefix = checked_settings().broker.key_prefix
    users = [centre_user(prefix), *(host_user(_name(host), prefix) for host in hosts), *(_storage(one, prefix) for one in storage)]
    click.echo("user default off")
    for user in users:
        _print(user)


def _print(user: BrokerUser) -> None:
    password = secrets.token_hex(32)
    click.echo(user.line(hashlib.sha256(password.encode()).hexdigest()))
    click.echo(f"{user.name} {password}", err=True)


def _storage(given: str, prefix: str) -> BrokerUser:
    backend, _, machine = given.partition("=")
    return storage_user(_name(backend), _name(machine), prefix)


def _name(name: str) -> str:
    """A name that may stand in a rule: nothing in it means anything to Redis.

    Raises:
        Failure: it may not.
    """
    if not is_host_name(name):
        raise Failure(
            f"{name!r} cannot be a name: letters, digits, '-' and '.', at most 63 characters; --storage takes BACKEND=MACHINE.",
            ExitCode.USAGE,
        )
    return name
