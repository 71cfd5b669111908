"""`lmigrate server`: guests."""

from __future__ import annotations

import click

from lmigrate.cli.client import Client, Json
from lmigrate.cli.completion_cmd import hosts, servers
from lmigrate.cli.endpoint import Endpoint
from lmigrate.cli.exit_codes import ExitCode
from lmigrate.cli.render import dashed, moment, print_facts, print_rows, print_table, printable, size
from lmigrate.cli.watch import follow
from lmigrate.output import output_option, print_data


def _state(row: Json) -> str:
    return f"{row['vm_state']} ({row['task_state']} {row['progress']}%)" if row["task_state"] else str(row["vm_state"])


COLUMNS = {
    "UUID": lambda row: row["uuid"],
    "NAME": lambda row: row["name"],
    "HOST": lambda row: row["host"],
    "STATE": _state,
    "MEMORY": lambda row: size(row["memory_mib"] * 2**20),
    "VCPUS": lambda row: row["vcpus"],
    "ANOMALY": lambda row: row["anomaly"],
}


@click.group()
def server() -> None:
    """Guests that the host daemons have found."""


@server.command("list")
@click.option("--name", help="Part of the name.")
@click.option("--host", shell_complete=hosts, help="Those on this host.")
@click.option("--anomaly", is_flag=True, help="Those with something wrong.")
@click.option("--limit", type=click.IntRange(1), help="At most so many.")
@output_option
@click.pass_obj
def list_servers(api: Endpoint, *, name: str | None, host: str | None, anomaly: bool, limit: int | None, output: str) -> None:
    """List guests, newest first.

    \b
    Examples:
      lmigrate server list --host node5
      lmigrate server list --anomaly -o json
    """
    rows = Client(api).pages("/v1/servers", "servers", limit, name=name, host=host, anomaly=True if anomaly else None)
    print_rows(rows, COLUMNS, output)


@server.command("show")
@click.argument("server_ref", metavar="SERVER", shell_complete=servers)
@output_option
@click.pass_obj
def show_server(api: Endpoint, server_ref: str, output: str) -> None:
    """Show SERVER (a UUID, or a name that only one has) with its disks and where it was seen.

    \b
    Examples:
      lmigrate server show web1
      lmigrate server show web1 -o yaml
    """
    found = Client(api).server(server_ref)
    if output != "table":
        print_data(found, output)
        return
    print_facts(_facts(found))
    print_table("Disks", ["DEVICE", "KIND", "FORMAT", "SIZE", "LIES AT"], [_disk(disk) for disk in found["disks"]])
    print_table("Access to its volumes", ["DEVICE", "VOLUME", "BACKEND", "HOST", "STATE", "USED"], _access(found["disks"]))
    sightings = [(seen["host"], seen["power_state"], seen["reason"], moment(seen["seen_at"]), seen["note"]) for seen in found["sightings"]]
    print_table("Seen by libvirt", ["HOST", "STATE", "REASON", "AT", "NOTE"], sightings)


@server.command("plan")
@click.argument("server_ref", metavar="SERVER", shell_complete=servers)
@click.option("--host", shell_complete=hosts, help="Destination. Without: every host is judged.")
@output_option
@click.pass_obj
def plan(api: Endpoint, server_ref: str, *, host: str | None, output: str) -> None:
    """Say what moving SERVER (a UUID, or a name that only one has) would do; nothing is changed or reserved.

    Ends with 4 if something keeps it where it is or no host can take it, else with 0.

    \b
    Examples:
      lmigrate server plan web1
      lmigrate server plan web1 --host node6 -o json
    """
    client = Client(api)
    found = client.plan(client.server_uuid(server_ref), host)
    if output != "table":
        print_data(found, output)
    else:
        _print_plan(found)
    if not (found["is_migratable"] and any(one["is_fit"] for one in found["destinations"])):
        raise click.exceptions.Exit(ExitCode.CONFLICT)


@server.command("migrate")
@click.argument("server_ref", metavar="SERVER", shell_complete=servers)
@click.option("--host", shell_complete=hosts, help="Destination; the scheduler confirms it. Without: the scheduler chooses.")
@click.option("--block-migration", type=click.Choice(["auto", "true", "false"]), default="auto", help="Copy local disks.")
@click.option("--force", is_flag=True, help="Do not ask the scheduler; the destination's own checks stay. Needs --host.")
@click.option("--watch", is_flag=True, help="Follow it to its end; the exit code tells how it went.")
@output_option
@click.pass_obj
def migrate(api: Endpoint, server_ref: str, *, host: str | None, block_migration: str, force: bool, watch: bool, output: str) -> None:
    """Move SERVER (a UUID, or a name that only one has) to another host while it runs.

    \b
    Examples:
      lmigrate server migrate web1 --host node6 --watch
      lmigrate server migrate web1 --block-migration true
    """
    if force and host is None:
        raise click.UsageError("--force needs --host: there is nothing to force without a destination.")
    client = Client(api)
    wanted: Json = {"host": host, "block_migration": {"auto": "auto", "true": True, "false": False}[block_migration]}
    accepted = _accepted(client, client.live_migrate(client.server_uuid(server_ref), wanted | ({"force": True} if force else {})))
    if output != "table" and not watch:
        print_data(accepted, output)
        return
    name = printable(accepted["instance_name"] or "")
    click.echo(f"Migration {accepted['id']} accepted: {name} leaves {accepted['source_host']}.", err=output != "table")
    if watch:
        follow(client, accepted["id"])
        return
    click.echo(f"Follow it with `lmigrate migration watch {accepted['id']}`.")


@server.command("forget")
@click.argument("server_ref", metavar="SERVER", shell_complete=servers)
@click.pass_obj
def forget(api: Endpoint, server_ref: str) -> None:
    """Remove the record of SERVER, whose domain has vanished, with the history of its migrations.

    Refused while any host has a domain of it. If one is seen later, a new record is made. Only administrators may.

    \b
    Example:
      lmigrate server forget web1
    """
    client = Client(api)
    uuid = client.server_uuid(server_ref)
    client.delete(f"/v1/servers/{uuid}")
    click.echo(f"Server {uuid} is forgotten.")


def _accepted(client: Client, request_id: str) -> Json:
    return next(client.pages("/v1/migrations", "migrations", 1, request_id=request_id))


def _facts(found: Json) -> dict[str, object]:
    return {
        "UUID": found["uuid"],
        "Name": found["name"],
        "Host": found["host"],
        "State": _state(found),
        "Power state": found["power_state"],
        "Memory": size(found["memory_mib"] * 2**20),
        "vCPUs": found["vcpus"],
        "Accelerator": found["virt_type"],
        "Persistent": found["is_persistent"],
        "Migration": _migration(found),
        "Anomaly": found["anomaly"],
        "Launched": moment(found["launched_at"]),
    }


def _migration(found: Json) -> object:
    """The one under way, and what is asked of it."""
    number, kind = found["migration_id"], found["pending_request"]
    return f"{number} ({dashed(kind)} pending)" if kind else number


def _print_plan(found: Json) -> None:
    facts = {"UUID": found["server"], "Name": found["name"], "Leaves": found["source_host"], "Can leave": found["is_migratable"]}
    print_facts(facts)
    print_table("Kept by", ["REASON"], [[reason] for reason in found["obstacles"]])
    destinations = [(one["host"], one["is_fit"], "; ".join(one["reasons"])) for one in found["destinations"]]
    print_table("Destinations, best first", ["HOST", "FIT", "AGAINST IT"], destinations)
    print_table("Disks", ["DEVICE", "KIND", "SIZE", "COPIED", "LIES AT"], [_planned_disk(disk) for disk in found["disks"]])
    print_table("Asked of the hosts only when it is moved", ["CHECK"], [[check] for check in found["not_checked"]])


def _planned_disk(disk: Json) -> tuple[object, ...]:
    where = disk["path"] or disk["source_name"] if disk["volume"] is None else f"{disk['backend']}: {disk['volume']}"
    is_copied = "if not shared" if disk["is_copied"] is None else disk["is_copied"]
    return disk["device"], disk["destination_type"], size(disk["size_bytes"]), is_copied, where


def _disk(disk: Json) -> tuple[object, ...]:
    volume = disk["volume"]
    capacity = disk["capacity_bytes"] if volume is None else volume["size_bytes"]
    where = disk["path"] or disk["source_name"] if volume is None else f"{volume['backend']}: {volume['source_name']}"
    return disk["device"], disk["destination_type"], disk["format"], size(capacity), where


def _access(disks: list[Json]) -> list[tuple[object, ...]]:
    return [
        (disk["device"], disk["volume"]["name"], disk["volume"]["backend"], access["host"], access["state"], access["is_used"])
        for disk in disks
        if disk["volume"] is not None
        for access in disk["volume"]["attachments"]
    ]
