"""`lmigrate service`: the hosts' daemons as Nova's compute services, for whoever looks for them under that name."""

from __future__ import annotations

import click

from lmigrate.cli.client import Client
from lmigrate.cli.completion_cmd import hosts
from lmigrate.cli.endpoint import Endpoint
from lmigrate.cli.render import moment, print_rows
from lmigrate.output import output_option

COLUMNS = {
    "HOST": lambda row: row["host"],
    "BINARY": lambda row: row["binary"],
    "STATUS": lambda row: row["status"],
    "STATE": lambda row: row["state"],
    "FORCED DOWN": lambda row: row["forced_down"],
    "LAST SEEN": lambda row: moment(row["updated_at"]),
    "REASON": lambda row: row["disabled_reason"],
}


@click.group()
def service() -> None:
    """The hosts' daemons under Nova's name for them: compute services. `lmigrate host` shows more of the same hosts."""


@service.command("list")
@click.option("--host", shell_complete=hosts, help="That of this host.")
@output_option
@click.pass_obj
def list_services(api: Endpoint, host: str | None, output: str) -> None:
    """List services.

    \b
    Examples:
      lmigrate service list
      lmigrate service list --host node5 -o json
    """
    print_rows(Client(api).services(host), COLUMNS, output)


@service.command("enable")
@click.argument("host", shell_complete=hosts)
@click.pass_obj
def enable_service(api: Endpoint, host: str) -> None:
    """Let the scheduler choose HOST as a destination again, as `lmigrate host enable` does.

    \b
    Example:
      lmigrate service enable node5
    """
    Client(api).change_service(host, {"status": "enabled"})
    click.echo(f"The service on {host} is enabled.")


@service.command("disable")
@click.argument("host", shell_complete=hosts)
@click.option("--reason", help="Why, for whoever looks at it later.")
@click.pass_obj
def disable_service(api: Endpoint, host: str, reason: str | None) -> None:
    """Do not choose HOST as a destination any more, as `lmigrate host disable` does; its guests may leave it.

    \b
    Example:
      lmigrate service disable node5 --reason "new memory"
    """
    Client(api).change_service(host, {"status": "disabled"} | ({"disabled_reason": reason} if reason else {}))
    click.echo(f"The service on {host} is disabled: it is no destination; its guests stay until they are migrated.")


@service.command("force-down")
@click.argument("host", shell_complete=hosts)
@click.option("--unset", is_flag=True, help="Believe its heartbeats again.")
@click.pass_obj
def force_down_service(api: Endpoint, host: str, *, unset: bool) -> None:
    """Take HOST for down, whatever its daemon says: when you know better than its heartbeats.

    \b
    Examples:
      lmigrate service force-down node5
      lmigrate service force-down node5 --unset
    """
    Client(api).change_service(host, {"forced_down": not unset})
    click.echo(f"The service on {host} is {'believed again' if unset else 'taken for down until `--unset`'}.")
