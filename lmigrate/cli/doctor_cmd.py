"""`lmigrate doctor`: what needs a human, and the commands for it."""

from __future__ import annotations

from collections.abc import Iterator

import click

from lmigrate.cli.client import Client, Json
from lmigrate.cli.endpoint import Endpoint
from lmigrate.cli.exit_codes import ExitCode
from lmigrate.cli.render import moment, printable
from lmigrate.output import output_option, print_data


@click.command()
@click.option("--sweep", is_flag=True, help="Ask every host to look for leaks now; what they find is told the next time.")
@output_option
@click.pass_obj
def doctor(api: Endpoint, output: str, *, sweep: bool) -> None:
    """Say what needs a human: what is known of it, and the commands that look and that resolve.

    Ends with 9 if anything does, else with 0: leaks that were removed and short waits do not count. A broker that does not answer the
    API is told first.

    \b
    Examples:
      lmigrate doctor
      lmigrate doctor -o json
      lmigrate doctor --sweep
    """
    client = Client(api)
    if sweep:
        asked = client.post("/v1/doctor/sweep", {})["hosts"]
        click.echo(f"{', '.join(asked) or 'No host'} will look for leaks; `lmigrate doctor` tells what was found.")
        return
    found, missing = client.get("/v1/doctor"), client.missing()
    for line in _missing(missing):  # not of the records: no part of the API's own answer
        click.echo(line, err=output != "table")
    if output != "table":
        print_data(found, output)
    else:
        for line in _lines(found, len(missing)):
            click.echo(line)
    if found["needs_operator"] or missing:
        raise click.exceptions.Exit(ExitCode.NEEDS_OPERATOR)


def _missing(missing: dict[str, str]) -> Iterator[str]:
    for name, reason in missing.items():
        yield printable(f"! {name}: {reason}")
        yield "    nothing is begun, and what has begun stands still, until it answers: look at its service and at the links to it\n"


def _lines(found: Json, missing: int) -> Iterator[str]:
    for finding in found["findings"]:
        yield from _finding(finding)
        yield ""
    count, others = found["needs_operator"] + missing, len(found["findings"]) - found["needs_operator"]
    yield f"{count or 'Nothing'} need{'' if count > 1 else 's'} an operator{f'; {others} more to know of' if others else ''}."


def _finding(finding: Json) -> Iterator[str]:
    mark = "!" if finding["needs_operator"] else "-"
    yield printable(f"{mark} {_subject(finding)}: {finding['reason']}")
    yield printable(f"    {finding['summary']}")
    if finding["since"]:
        yield f"    since {moment(finding['since'])}; see {finding['page']}"
    if finding["done"]:
        yield printable(f"    done: {finding['done']}")
    for known in finding["known"]:
        yield printable(f"    known of {known['host']}: {known['said']}, at {moment(known['at'])}")
    yield from _commands("    look:", finding["look"])
    for way in finding["ways"]:
        yield from _commands(printable(f"    if {way['when']}:" if way["commands"] else f"    if {way['when']}"), way["commands"])


def _subject(finding: Json) -> str:
    if finding["migration_id"] is not None and finding["kind"] != "leak":
        return f"migration {finding['migration_id']} of {finding['instance_name']}"
    if finding["kind"] == "guest":
        return f"guest {finding['instance_name']}"
    return f"{finding['kind']} {finding['host'] or ''}".rstrip()


def _commands(title: str, commands: list[Json]) -> Iterator[str]:
    if commands or title.lstrip().startswith("if"):
        yield title
    for one in commands:
        prompt = f"{one['host']}#" if one["host"] else "$"
        yield printable(f"        {prompt} {one['command']}    # {one['what']}")
