"""`lmigrate lab guest`: guests that tell what a migration did to them."""

from __future__ import annotations

import subprocess
from typing import Any

import click
from rich.console import Console
from rich.table import Table

from lmigrate import clock
from lmigrate.lab.guests.guest import Guest
from lmigrate.lab.guests.recording import read_recording, start_recording
from lmigrate.lab.guests.report import Heard, Report, make_report
from lmigrate.lab.guests.spec import DiskSpec, GuestSpec
from lmigrate.lab.guests.start import start_guest
from lmigrate.lab.id_option import attached, id_option
from lmigrate.lab.volumes import carrying
from lmigrate.output import output_option, print_data


@click.group("guest")
def guest() -> None:
    """Guests that count in memory and say on their serial port what they saw."""


@guest.command("start")
@click.argument("name")
@id_option
@output_option
@click.option("--host", help="Where.  [default: the lab's first host]")
@click.option(
    "--kind", type=click.Choice(["tick", "linux"]), default="tick", show_default=True, help="tick starts at once; linux uses disks."
)
@click.option("--memory-mib", type=click.IntRange(4), help="[default: what the guest needs, at least 64 (tick) or 192 (linux)]")
@click.option("--vcpus", type=click.IntRange(1), default=1, show_default=True)
@click.option(
    "--disk", "disks", multiple=True, metavar="FORMAT:SIZE_MIB[:FILL_MIB[:BACKING]]", help="A local disk, raw or qcow2; repeat for more."
)
@click.option(
    "--volume", "volumes", multiple=True, metavar="NAME", help="A volume (`lab volume create`), after the disks; repeat for more."
)
@click.option("--rate-hz", type=float, default=10.0, show_default=True, help="Counts a second.")
@click.option("--dirty-mib", type=click.IntRange(0), default=0, help="Memory that it keeps rewriting.")
@click.option("--dirty-mib-per-s", type=float, default=0.0, help="How fast.")
@click.option("--fill-mib", type=click.IntRange(0), default=0, help="Further memory with data that cannot be compressed.")
@click.option("--poweroff-at", type=click.IntRange(0), default=0, help="Count at which it switches itself off.")
@click.option("--accel", type=click.Choice(["kvm", "tcg"]), help="[default: the lab's]")
@click.option("--machine", default="pc-i440fx-7.2", show_default=True, help="Machine type.")
@click.option(
    "--firmware", type=click.Choice(["rom", "bios"]), default="rom", show_default=True, help="bios: tick boots from its first disk."
)
@click.option("--vnc-listen", metavar="ADDRESS", help="Give it a VNC display on this address.")
@click.option("--paused", is_flag=True, help="Suspend it after its first tick.")
@click.option("--transient", is_flag=True, help="Without a persistent definition.")
def start_command(
    name: str, lab_id: str, output: str, host: str | None, disks: tuple[str, ...], volumes: tuple[str, ...], **options: Any
) -> None:
    """Start guest NAME and wait until it counts; from then on it is recorded.

    \b
    Examples:
      lmigrate lab guest start counter --host node5
      lmigrate lab guest start busy --memory-mib 256 --dirty-mib-per-s 40
      lmigrate lab guest start carrier --volume data1
    """
    lab = attached(lab_id)
    if options["memory_mib"] is None:
        options["memory_mib"] = _memory_mib(options)
    spec = GuestSpec(name=name, disks=tuple(DiskSpec.parse(disk) for disk in disks), **options)
    host = host or next(iter(lab.hosts))
    began_s = clock.monotonic_s()
    try:
        with carrying(lab, host, spec, volumes) as spec:
            started = start_guest(lab, host, spec)
    except subprocess.CalledProcessError as error:
        raise click.ClickException(str(error.stderr).strip() or str(error)) from error
    took_s = clock.monotonic_s() - began_s
    start_recording(started)
    if output != "table":
        print_data({"name": name, "uuid": spec.uuid, "host": host, "first_tick_s": round(took_s, 3)}, output)
    else:
        click.echo(f"{name} ({spec.uuid}) counts on {host}, {took_s:.1f} s after the command")


@guest.command("list")
@id_option
@output_option
def list_command(lab_id: str, output: str) -> None:
    """Every guest: where it runs and how far it has counted.

    \b
    Example:
      lmigrate lab guest list
    """
    rows = [_row(item) for item in Guest.all(attached(lab_id))]
    if output != "table":
        print_data(rows, output)
        return
    table = Table("name", "uuid", "kind", "state", "count", box=None)
    for row in rows:
        states = ", ".join(f"{state} on {host}" for host, state in row["states"].items())
        table.add_row(row["name"], row["uuid"], row["kind"], states or "nowhere", str(row["count"] or "-"))
    Console().print(table)


@guest.command("report")
@click.argument("name")
@id_option
@output_option
@click.option("--last-s", type=float, help="Only the last so many seconds of what was recorded.")
@click.option("--listen-s", type=float, help="Listen for so many seconds instead of reading what was recorded.")
def report_command(name: str, lab_id: str, output: str, last_s: float | None, listen_s: float | None) -> None:
    """What guest NAME went through: counts missing, restarts, memory lost, the longest silence.

    \b
    Example:
      lmigrate lab guest report counter --last-s 30
    """
    found = Guest.find(attached(lab_id), name)
    report = make_report(_listened(found, listen_s) if listen_s else _recorded(found, last_s))
    if output != "table":
        print_data(report.to_json(), output)
    else:
        _print_report(report)


@guest.command("stop")
@click.argument("names", nargs=-1)
@id_option
@click.option("--all", "everything", is_flag=True, help="Every guest of the lab.")
def stop_command(names: tuple[str, ...], lab_id: str, *, everything: bool) -> None:
    """End guests and remove their domains and files on every host.

    \b
    Examples:
      lmigrate lab guest stop counter
      lmigrate lab guest stop --all
    """
    lab = attached(lab_id)
    for item in Guest.all(lab) if everything else [Guest.find(lab, name) for name in names]:
        item.stop()
        click.echo(f"{item.name} is gone")


def _memory_mib(options: dict[str, Any]) -> int:
    least = 64 if options["kind"] == "tick" else 192
    return least + int(options["dirty_mib"]) + int(options["fill_mib"])


def _row(item: Guest) -> dict[str, Any]:
    recorded = read_recording(item)
    count = recorded[-1].line.count if recorded else None
    return {"name": item.name, "uuid": item.uuid, "kind": item.spec.kind, "states": item.states(), "count": count}


def _recorded(found: Guest, last_s: float | None) -> list[Heard]:
    since_s = clock.monotonic_s() - last_s if last_s else 0.0
    return [heard for heard in read_recording(found) if heard.at_s >= since_s]


def _listened(found: Guest, seconds: float) -> list[Heard]:
    with found.recorder as recorder:
        clock.sleep_s(seconds)
    return recorder.heard


def _print_report(report: Report) -> None:
    verdict = "unbroken" if report.is_unbroken else "BROKEN" if report.lines else "not heard"
    click.echo(f"{verdict}: counts {report.counter_first} to {report.counter_last} heard on {', '.join(report.hosts) or 'no host'}")
    click.echo(f"missing {report.missing}, restarted {report.restarted}, bad pages or blocks {report.bad}")
    click.echo(f"longest silence {report.longest_gap_ms:.0f} ms, usual {report.period_ms:.0f} ms: stood still for {report.pause_ms:.0f} ms")
    if report.dirtied_mib_per_s:
        click.echo(f"dirtied {report.dirtied_mib_per_s:.1f} MiB/s")
