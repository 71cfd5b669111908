"""`lmigrate audit`: who wanted to change what."""

from __future__ import annotations

from datetime import datetime

import click

from lmigrate.cli.client import Client, Json
from lmigrate.cli.endpoint import Endpoint
from lmigrate.cli.render import moment, print_rows
from lmigrate.output import output_option


def _outcome(row: Json) -> str:
    return str(row["outcome"]) if row["status"] is None else f"{row['outcome']} ({row['status']})"


COLUMNS = {
    "AT": lambda row: moment(row["at"]),
    "USER": lambda row: row["user"],
    "FROM": lambda row: row["address"],
    "OUTCOME": _outcome,
    "OPERATION": lambda row: row["operation"],
    "PATH": lambda row: f"{row['method']} {row['path']}",
    "DETAILS": lambda row: ", ".join(f"{name}={value}" for name, value in row["details"].items()),
    "REQUEST": lambda row: row["request_id"],
}


@click.command()
@click.option("--user", help="By this caller.")
@click.option("--operation", help="This operation, as docs/reference/operations.md calls it.")
@click.option("--request", "request_id", help="Of this request id.")
@click.option("--refused/--done", default=None, help="Those that came to nothing, or the others.  [default: all]")
@click.option("--since", type=click.DateTime(["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S"]), help="Not before this moment, in UTC.")
@click.option("--limit", type=click.IntRange(1), default=100, help="At most so many.")
@output_option
@click.pass_obj
def audit(api: Endpoint, /, *, since: datetime | None, refused: bool | None, limit: int, output: str, **wanted: str | None) -> None:
    """List the changes that were asked for over HTTP, newest first.

    \b
    Examples:
      lmigrate audit --refused --since 2026-11-25
      lmigrate audit --user ansible --operation nova.os-migrateLive -o json
    """
    after = None if since is None else f"{since.isoformat()}Z"
    print_rows(Client(api).pages("/v1/audit", "events", limit, since=after, refused=refused, **wanted), COLUMNS, output)
