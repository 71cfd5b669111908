"""`lmigrate volume`: volumes on shared storage, and which host may reach them."""

from __future__ import annotations

import json
from pathlib import Path

import click

from lmigrate.cli.client import Client, Json
from lmigrate.cli.completion_cmd import volumes
from lmigrate.cli.endpoint import Endpoint
from lmigrate.cli.render import Cell, moment, print_facts, print_rows, print_table, size
from lmigrate.output import output_option, print_data

COLUMNS = {
    "UUID": lambda row: row["uuid"],
    "NAME": lambda row: row["name"],
    "BACKEND": lambda row: row["backend"],
    "SIZE": lambda row: size(row["size_bytes"]),
    "STATE": lambda row: row["state"],
    "HOSTS": lambda row: ", ".join(row["hosts"]),
    "SOURCE": lambda row: row["source_name"],
}
ATTACHMENTS: dict[str, Cell] = {
    "UUID": lambda row: row["uuid"],
    "HOST": lambda row: row["host"],
    "STATE": lambda row: row["state"],
    "SERVER": lambda row: row["server_name"] or row["server_uuid"],
    "DEVICE": lambda row: row["device"],
    "USED": lambda row: row["is_used"],
    "MIGRATION": lambda row: row["migration_id"],
}


@click.group()
def volume() -> None:
    """Volumes on shared block storage."""


@volume.command("list")
@click.option("--backend", help="Those of this backend.")
@click.option("--name", help="Those of this name.")
@click.option("--limit", type=click.IntRange(1), help="At most so many.")
@output_option
@click.pass_obj
def list_volumes(api: Endpoint, *, backend: str | None, name: str | None, limit: int | None, output: str) -> None:
    """List volumes, newest first.

    \b
    Example:
      lmigrate volume list --backend san1
    """
    print_rows(Client(api).pages("/v1/volumes", "volumes", limit, backend=backend, name=name), COLUMNS, output)


@volume.command("show")
@click.argument("volume_ref", metavar="VOLUME", shell_complete=volumes)
@output_option
@click.pass_obj
def show_volume(api: Endpoint, volume_ref: str, output: str) -> None:
    """Show VOLUME (a UUID, or a name that only one has) with the access there is to it.

    \b
    Example:
      lmigrate volume show web1-root
    """
    client = Client(api)
    found = client.get(f"/v1/volumes/{client.volume_uuid(volume_ref)}")
    if output != "table":
        print_data(found, output)
    else:
        _print_volume(found)


@volume.command("attachments")
@click.argument("volume_ref", metavar="VOLUME", shell_complete=volumes)
@output_option
@click.pass_obj
def list_attachments(api: Endpoint, volume_ref: str, output: str) -> None:
    """List the access that hosts have to VOLUME.

    \b
    Example:
      lmigrate volume attachments web1-root -o json
    """
    client = Client(api)
    found = client.get(f"/v1/volumes/{client.volume_uuid(volume_ref)}/attachments")
    print_rows(found["attachments"], ATTACHMENTS, output)


@volume.command("register")
@click.argument("name")
@click.option("--backend", required=True, help="Its backend, as the settings (storage.backends) name it.")
@click.option("--source-name", help="What domains call it: <source name='…'>.")
@click.option("--location", help="Where the driver finds it, as a JSON object, or @FILE.")
@output_option
@click.pass_obj
def register(api: Endpoint, *, name: str, backend: str, source_name: str | None, location: str | None, output: str) -> None:
    """Make a volume known that exists: the storage daemon looks whether it does, and how large it is.

    Disks of guests that are this volume are linked to it at once.

    \b
    Examples:
      lmigrate volume register web1-root --backend san1 --source-name iqn.2026-11.org.example:web1/1
      lmigrate volume register data --backend san1 --location '{"iqn": "iqn.2026-11.org.example:data", "path": "/dev/vg/data"}'
    """
    if (source_name is None) == (location is None):
        raise click.UsageError("Say either --source-name or --location.")
    body: Json = {"name": name, "backend": backend, "source_name": source_name, "location": _object(location)}
    found = Client(api).post("/v1/volumes", body)
    if output != "table":
        print_data(found, output)
        return
    _print_volume(found)
    if found["state"] == "registering":
        click.echo(f"The storage daemon of {backend} has not answered yet: `lmigrate volume show {found['uuid']}` tells.", err=True)


def _object(text: str | None) -> Json | None:
    if text is None:
        return None
    try:
        value = json.loads(Path(text[1:]).read_text(encoding="utf-8") if text.startswith("@") else text)
    except (OSError, ValueError) as error:
        raise click.UsageError(f"--location: {error}") from error
    if not isinstance(value, dict):
        raise click.UsageError("--location: a JSON object is needed.")
    return value


def _print_volume(found: Json) -> None:
    print_facts(
        {
            "UUID": found["uuid"],
            "Name": found["name"],
            "Backend": found["backend"],
            "Source": found["source_name"],
            "Size": size(found["size_bytes"]),
            "State": found["state"],
            "Error": found["error"],
            "Registered": moment(found["created_at"]),
        }
    )
    rows = [tuple(cell(row) for cell in ATTACHMENTS.values()) for row in found["attachments"]]
    print_table("Attachments", list(ATTACHMENTS), rows)
