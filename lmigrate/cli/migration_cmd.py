"""`lmigrate migration`: moves of guests."""

from __future__ import annotations

from datetime import datetime

import click

from lmigrate.cli.client import Client, Json
from lmigrate.cli.completion_cmd import hosts, migrations, servers
from lmigrate.cli.endpoint import Endpoint
from lmigrate.cli.exit_codes import ExitCode, Failure, Refused
from lmigrate.cli.render import dashed, moment, print_facts, print_rows, print_table, size
from lmigrate.cli.watch import follow, route
from lmigrate.output import output_option, print_data
from lmigrate.states import MigrationStatus, StepState

COLUMNS = {
    "ID": lambda row: row["id"],
    "SERVER": lambda row: row["instance_name"] or row["instance_uuid"],
    "FROM": lambda row: row["source_host"],
    "TO": lambda row: row["dest_host"],
    "STATUS": lambda row: row["status"],
    "%": lambda row: row["progress"]["percent"],
    "CREATED": lambda row: moment(row["created_at"]),
    "REASON": lambda row: row["error"],
}


@click.group()
def migration() -> None:
    """Moves of guests: what was done, what is being done."""


@migration.command("list")
@click.option("--server", "server_ref", shell_complete=servers, help="Those of this guest (UUID or name).")
@click.option("--host", shell_complete=hosts, help="Those from or to this host.")
@click.option("--status", type=click.Choice([status.value for status in MigrationStatus]), help="Those in this status.")
@click.option("--limit", type=click.IntRange(1), default=50, help="At most so many.")
@output_option
@click.pass_obj
def list_migrations(api: Endpoint, *, server_ref: str | None, host: str | None, status: str | None, limit: int, output: str) -> None:
    """List migrations, newest first.

    \b
    Examples:
      lmigrate migration list --status running
      lmigrate migration list --server web1 --limit 5 -o json
    """
    client = Client(api)
    uuid = client.server_uuid(server_ref) if server_ref else None
    print_rows(client.pages("/v1/migrations", "migrations", limit, server=uuid, host=host, status=status), COLUMNS, output)


@migration.command("show")
@click.argument("migration_ref", metavar="MIGRATION", shell_complete=migrations)
@output_option
@click.pass_obj
def show_migration(api: Endpoint, migration_ref: str, output: str) -> None:
    """Show MIGRATION (an id or a UUID) with its journal, its events and why hosts refused.

    \b
    Examples:
      lmigrate migration show 17
      lmigrate migration show 17 -o json | jq '.steps[] | {name, state}'
    """
    found = Client(api).migration(migration_ref, samples=output != "table")
    if output != "table":
        print_data(found, output)
        return
    print_facts(_facts(found))
    print_table("Refused by", ["HOST", "REASON"], found["refusals"].items())
    print_table("Journal", ["TRY", "STEP", "HOST", "STATE", "SECONDS", "ERROR"], [_step(step) for step in found["steps"]])
    print_table("Events", ["AT", "HOST", "EVENT", "RESULT", "DETAILS"], [_event(event) for event in found["events"]])


@migration.command("watch")
@click.argument("migration_ref", metavar="MIGRATION", shell_complete=migrations)
@click.pass_obj
def watch_migration(api: Endpoint, migration_ref: str) -> None:
    """Follow MIGRATION (an id or a UUID) to its end; the exit code tells how it went.

    \b
    Example:
      lmigrate migration watch 17
    """
    client = Client(api)
    follow(client, client.migration(migration_ref)["id"])


@migration.command("abort")
@click.argument("migration_ref", metavar="MIGRATION", shell_complete=migrations)
@click.option("--watch", is_flag=True, help="Follow it to its end.")
@click.pass_obj
def abort_migration(api: Endpoint, migration_ref: str, *, watch: bool) -> None:
    """Abort MIGRATION (an id or a UUID): the guest stays where it is, and what was made is undone.

    \b
    Example:
      lmigrate migration abort 17 --watch
    """
    client = Client(api)
    found = client.migration(migration_ref)
    try:
        client.abort(found["instance_uuid"], found["id"])
    except Refused as error:
        raise _not_now(client, found["id"], error, "it can no longer be aborted") from error
    click.echo(f"Migration {found['id']} is being aborted.")
    if watch:
        follow(client, found["id"])


@migration.command("force-complete")
@click.argument("migration_ref", metavar="MIGRATION", shell_complete=migrations)
@click.option("--watch", is_flag=True, help="Follow it to its end.")
@click.pass_obj
def force_complete_migration(api: Endpoint, migration_ref: str, *, watch: bool) -> None:
    """Make a running MIGRATION (an id or a UUID) come to its end, although the guest writes faster than its memory can be sent.

    By post-copy where the installation permits it: the guest runs on the destination at once, and there is no way back. Else the
    guest is paused until it has arrived.

    \b
    Example:
      lmigrate migration force-complete 17 --watch
    """
    client = Client(api)
    found = client.migration(migration_ref)
    try:
        client.force_complete(found["instance_uuid"], found["id"])
    except Refused as error:
        raise _not_now(client, found["id"], error, "only a copy that runs can be completed by force") from error
    click.echo(f"Migration {found['id']} is being completed.")
    if watch:
        follow(client, found["id"])


@migration.command("resolve")
@click.argument("migration_ref", metavar="MIGRATION", shell_complete=migrations)
@click.option("--running-on", "host", required=True, metavar="HOST", shell_complete=hosts, help="Where you have seen the guest run.")
@click.option(
    "--fenced",
    metavar="HOST",
    shell_complete=hosts,
    help="A host of the two that is off for good: nothing is asked of it, and nothing done on it.",
)
@click.option("--watch", is_flag=True, help="Follow it to its end.")
@click.pass_obj
def resolve_migration(api: Endpoint, migration_ref: str, host: str, *, fenced: str | None, watch: bool) -> None:
    """Go on with a MIGRATION that waits for an operator (status error).

    Look at both hosts first: `lmigrate doctor` has the commands. On the destination: the last steps are done, or a post-copy that broke
    is tried again. On the source: what was made on the destination is removed. A copy that runs is never removed.

    \b
    Example:
      lmigrate migration resolve 18 --running-on node5 --watch
    """
    client = Client(api)
    found = client.migration(migration_ref)
    client.post(f"/v1/migrations/{found['id']}/resolution", {"running_on": host, "fenced": fenced})
    click.echo(f"Migration {found['id']} goes on: the guest runs on {host}.")
    if watch:
        follow(client, found["id"])


def _not_now(client: Client, number: int, error: Refused, what: str) -> Failure:
    """The API says that the status forbids it: say which status, and what to do."""
    if error.status not in {400, 409}:
        return error
    status = client.migration(number)["status"]
    why = ". Its guest runs on the destination, and neither host has all of it" if status == MigrationStatus.RUNNING_POST_COPY else ""
    return Failure(f"Migration {number} is {status}: {what}{why} (lmigrate migration show {number}).", ExitCode.CONFLICT)


def _facts(found: Json) -> dict[str, object]:
    progress = found["progress"]
    return {
        "Migration": f"{found['id']}  {found['uuid']}",
        "Server": f"{found['instance_name'] or ''}  {found['instance_uuid']}",
        "From, to": route(found),
        "Asked for": _asked(found),
        "Status": found["status"] if found["phase"] in {"ended", "forward"} else f"{found['status']} ({found['phase']})",
        "Pending": _pending(found),
        "Reason": f"{found['error_code']}: {found['error']}" if found["error"] else None,
        "Held": f"{found['hold_reason']} since {moment(found['held_at'])} (lmigrate doctor)" if found["hold_reason"] else None,
        "Progress": f"{progress['percent']}%",
        "Memory": _bytes(progress, "memory"),
        "Disks": _bytes(progress, "disk"),
        "Pause": f"{found['downtime_ms']} ms" if found["downtime_ms"] is not None else None,
        "Created": moment(found["created_at"]),
        "Switched over": moment(found["switched_over_at"]),
        "Ended": moment(found["ended_at"]),
        "Request": found["request_id"],
    }


def _pending(found: Json) -> str | None:
    """What was asked for and has not come about, and since when."""
    kind = found["pending_request"]
    return kind and f"{dashed(kind)}, asked for at {moment(found[f'{kind}_requested_at'])}"


def _asked(found: Json) -> str:
    host = found["requested_destination"] or "any host"
    block = {None: "disks as needed", True: "copy local disks", False: "shared disks"}[found["block_migration"]]
    return f"{host}, {block}{', forced' if found['is_forced'] else ''}"


def _bytes(progress: Json, kind: str) -> str | None:
    total = progress[f"{kind}_total_bytes"]
    if not total:
        return None
    return f"{size(progress[f'{kind}_processed_bytes'])} sent, {size(progress[f'{kind}_remaining_bytes'])} of {size(total)} left"


def _step(step: Json) -> tuple[object, ...]:
    return (step["attempt"], step["name"], step["host"] or "conductor", step["state"], _seconds(step), step["error"])


def _event(event: Json) -> tuple[object, ...]:
    return (moment(event["started_at"]), event["host"], event["event"], event["result"], event["details"])


def _seconds(step: Json) -> str | None:
    """How long its last try took; nothing of one that was undone, or left because its host is off: what ended then was not the try."""
    if step["state"] not in {StepState.DONE, StepState.FAILED} or step["started_at"] is None or step["finished_at"] is None:
        return None
    if step["state"] == StepState.DONE and step["error"]:
        return None
    taken = datetime.fromisoformat(step["finished_at"]) - datetime.fromisoformat(step["started_at"])
    again = f" (try {step['tries']})" if step["tries"] > 1 else ""
    return f"{max(0.0, taken.total_seconds()):.2f}{again}"
