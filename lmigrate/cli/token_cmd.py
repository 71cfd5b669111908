"""`lmigrate token`: who may use the API."""

from __future__ import annotations

import re
from datetime import timedelta

import click

from lmigrate.cli.client import Client, Json
from lmigrate.cli.endpoint import Endpoint
from lmigrate.cli.exit_codes import ExitCode, Failure
from lmigrate.cli.render import moment, print_facts, print_rows
from lmigrate.errors import InvalidInput
from lmigrate.ids import is_uuid
from lmigrate.output import output_option, print_data
from lmigrate.states import Role

_SPAN = re.compile(r"([1-9][0-9]{0,5})(h|d|w)\Z")
_UNITS = {"h": timedelta(hours=1), "d": timedelta(days=1), "w": timedelta(weeks=1)}


COLUMNS = {
    "UUID": lambda row: row["uuid"],
    "NAME": lambda row: row["name"],
    "ROLE": lambda row: row["role"],
    "STATE": lambda row: row["state"],
    "EXPIRES": lambda row: moment(row["expires_at"]),
    "LAST USED": lambda row: moment(row["last_used_at"]),
    "FROM": lambda row: row["last_used_from"],
}


@click.group()
def token() -> None:
    """Tokens: who may use the API, and as what."""


@token.command("create")
@click.argument("name")
@click.option("--role", type=click.Choice([role.value for role in Role]), default=Role.READER.value, help="What its owner may do.")
@click.option("--expires", metavar="SPAN", help="Worthless after that long: 12h, 90d, 26w; never, unless said.")
@click.option("--local", is_flag=True, help="Write to the database of the settings instead of asking the API: for the first token.")
@output_option
@click.pass_obj
def create_token(api: Endpoint, name: str, role: str, expires: str | None, *, local: bool, output: str) -> None:
    """Make a token for NAME, a person or a program, and print it: it is shown this once.

    \b
    Examples:
      lmigrate token create admin --role admin --local
      lmigrate token create ansible --role operator --expires 90d
    """
    lifetime = None if expires is None else _span(expires)
    made = _create_locally(name, Role(role), lifetime) if local else _create(api, name, role, lifetime)
    if output != "table":
        print_data(made, output)
        return
    print_facts(_facts(made) | {"Secret": made["secret"]})
    click.echo(
        "\nThe secret, which is the token itself, is kept nowhere: save it now, and set LMIGRATE_TOKEN (or OS_TOKEN) to it.", err=True
    )


@token.command("list")
@click.option("--name", help="Those of this name.")
@output_option
@click.pass_obj
def list_tokens(api: Endpoint, name: str | None, output: str) -> None:
    """List tokens, newest first.

    \b
    Examples:
      lmigrate token list
      lmigrate token list --name ansible -o json
    """
    print_rows(Client(api).pages("/v1/tokens", "tokens", name=name), COLUMNS, output)


@token.command("revoke")
@click.argument("reference", metavar="TOKEN")
@click.pass_obj
def revoke_token(api: Endpoint, reference: str) -> None:
    """Make TOKEN (a UUID, or a name that only one token has) worthless, at once.

    \b
    Example:
      lmigrate token revoke ansible
    """
    client = Client(api)
    gone = client.delete(f"/v1/tokens/{_uuid(client, reference)}")
    click.echo(f"Token {gone['uuid']} of {gone['name']} is revoked.")


@token.command("whoami")
@output_option
@click.pass_obj
def show_caller(api: Endpoint, output: str) -> None:
    """Show whom the API takes you for.

    \b
    Example:
      lmigrate token whoami
    """
    found = Client(api).get("/v1/caller")
    if output != "table":
        print_data(found, output)
    else:
        print_facts({"User": found["user"], "Role": found["role"], "Project": found["project"], "Token": found["token_uuid"]})


def _create(api: Endpoint, name: str, role: str, lifetime: timedelta | None) -> Json:
    return Client(api).post(
        "/v1/tokens", {"name": name, "role": role, "lifetime_s": None if lifetime is None else int(lifetime.total_seconds())}
    )


def _create_locally(name: str, role: Role, lifetime: timedelta | None) -> Json:
    from lmigrate.access import tokens  # noqa: PLC0415 - the other commands need no database
    from lmigrate.cli.daemon_cmd import checked_settings  # noqa: PLC0415
    from lmigrate.db.availability import UNAVAILABLE  # noqa: PLC0415

    checked_settings()
    try:
        made, secret = tokens.create(name, role, "the command line", lifetime)
    except InvalidInput as error:
        raise Failure(str(error), ExitCode.USAGE) from error
    except UNAVAILABLE as error:
        first = str(error).partition("\n")[0]
        raise Failure(
            f"The database of LMIGRATE_DATABASE__URL cannot be used: {first}. Is it at the newest revision (`lmigrate db upgrade`)?"
        ) from error
    shown = {"uuid": made.uuid, "name": made.name, "role": made.role.value, "expires_at": made.expires_at and made.expires_at.isoformat()}
    return shown | {"secret": secret}


def _uuid(client: Client, reference: str) -> str:
    if is_uuid(reference):
        return reference.lower()
    found = [row["uuid"] for row in client.pages("/v1/tokens", "tokens", name=reference) if row["revoked_at"] is None]
    if not found:
        raise Failure(f"There is no token named {reference!r} that is not revoked. `lmigrate token list` shows all.", ExitCode.NOT_FOUND)
    if len(found) > 1:
        raise Failure(f"{len(found)} tokens are named {reference!r}: say which by its UUID ({', '.join(found)}).", ExitCode.CONFLICT)
    return str(found[0])


def _span(text: str) -> timedelta:
    match = _SPAN.match(text)
    if match is None:
        raise click.UsageError(f"--expires {text!r}: a number and h, d or w, such as 90d")
    return int(match[1]) * _UNITS[match[2]]


def _facts(made: Json) -> dict[str, object]:
    return {"UUID": made["uuid"], "Name": made["name"], "Role": made["role"], "Expires": moment(made["expires_at"]) or "never"}
