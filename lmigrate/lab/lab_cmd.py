"""`lmigrate lab`: real libvirt hosts on this machine."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import click
from rich.console import Console
from rich.table import Table

from lmigrate.errors import LmigrateError
from lmigrate.lab import demo, status
from lmigrate.lab.errors import GuestExists, NoSuchHost, NoSuchLab, NoSuchVolume, OptionsDiffer, VolumeExists, VolumeInUse, WrongOption
from lmigrate.lab.guests.guest import NoSuchGuest
from lmigrate.lab.guests.guest_cmd import guest
from lmigrate.lab.id_option import VARIABLE, id_option
from lmigrate.lab.options import LabOptions
from lmigrate.lab.packages import require_root
from lmigrate.lab.paths import LabPaths
from lmigrate.lab.state import LabState
from lmigrate.lab.topology import Lab, lab_ids, remove
from lmigrate.lab.volume_cmd import volume
from lmigrate.output import output_option, print_data

_FIRST_HOST_NUMBER = 5


#: how the rest of the command line ends for the same; anything else ends with 1
_EXIT_CODES: dict[type[LmigrateError], int] = {
    WrongOption: 2,
    NoSuchLab: 3,
    NoSuchHost: 3,
    NoSuchGuest: 3,
    NoSuchVolume: 3,
    OptionsDiffer: 4,
    GuestExists: 4,
    VolumeExists: 4,
    VolumeInUse: 4,
}


class _LabGroup(click.Group):
    """Shows our own errors as messages, and refuses whoever is not root before anything else."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            require_root()
            return super().invoke(ctx)
        except LmigrateError as error:
            failure = click.ClickException(str(error))
            failure.exit_code = _EXIT_CODES.get(type(error), 1)  # type: ignore[misc]  # click reads it from the instance
            raise failure from error


@click.group("lab", cls=_LabGroup)
def lab() -> None:
    """Real libvirt hosts on this machine, in namespaces: the demo and the test bed. Needs root."""


lab.add_command(guest)
lab.add_command(volume)


@lab.command("up")
@id_option
@click.option("--hosts", help="Names of the hosts, separated by commas.  [default: node5,node6]")
@click.option("--count", type=click.IntRange(1), help="Instead of names: so many hosts, node5 and on.")
@click.option(
    "--instances", type=click.Choice(["shared", "private"]), help="One instances directory for all hosts, or one each.  [default: shared]"
)
@click.option("--database", type=click.Choice(["sqlite", "postgresql"]), help="[default: sqlite]")
@click.option("--plain-tcp", "tls", flag_value=False, default=None, help="No TLS between the hosts, to look at the traffic.")
@click.option("--tls", "secure", flag_value=True, default=None, help="TLS everywhere, a token for the API, a Redis user for each daemon.")
@click.option("--accel", type=click.Choice(["auto", "kvm", "tcg"]), help="auto: KVM where it works, TCG where not.  [default: auto]")
@click.option("--memory-mib", multiple=True, metavar="HOST=N", help="Let a host admit to N MiB of memory only.")
@click.option("--no-daemons", "daemons", flag_value=False, default=None, help="Only hosts, libvirtd, Redis and the database server.")
@click.option("--env", multiple=True, metavar="KEY=VALUE", help="A further setting (LMIGRATE_…) for every daemon.")
def up(lab_id: str, count: int | None, **chosen: Any) -> None:
    """Start a lab, or what is missing of one; never a second copy.

    \b
    Examples:
      lmigrate lab up
      lmigrate lab up --count 3 --instances private --database postgresql
    """
    if count is not None and chosen["hosts"]:
        raise click.UsageError("--hosts and --count exclude each other")
    if count is not None:
        chosen["hosts"] = ",".join(f"node{_FIRST_HOST_NUMBER + index}" for index in range(count))
    options = replace(
        _present_options(lab_id), **{name: _PARSE.get(name, _as_is)(value) for name, value in chosen.items() if value not in (None, ())}
    )
    started = Lab.up(options, click.echo)
    click.echo(f"ready. `eval $(lmigrate lab env --id {lab_id})` points the other commands at {started.url}")


@lab.command("down")
@id_option
@click.option("--all", "every", is_flag=True, help="Every lab of this machine.")
def down(lab_id: str, *, every: bool) -> None:
    """End a lab and remove everything of it, also after a crash.

    \b
    Examples:
      lmigrate lab down
      lmigrate lab down --all
    """
    for name in lab_ids() if every else [lab_id]:
        click.echo(f"lab {name}: {'removed' if remove(name) else 'there is none'}")


@lab.command("status")
@id_option
@output_option
def show_status(lab_id: str, output: str) -> None:
    """Show hosts, daemons and guests.

    \b
    Examples:
      lmigrate lab status
      lmigrate lab status -o json
    """
    found = status.of_lab(Lab.attach(lab_id))
    if output != "table":
        print_data(found.to_json(), output)
    else:
        _print_table(found)


@lab.command("list")
@output_option
def list_labs(output: str) -> None:
    """List the labs of this machine.

    \b
    Example:
      lmigrate lab list
    """
    if output != "table":
        print_data(lab_ids(), output)
        return
    for name in lab_ids():
        click.echo(name)


@lab.command("exec", context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False})
@id_option
@click.argument("node")
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED)
def execute(lab_id: str, node: str, command: tuple[str, ...]) -> None:
    """Run COMMAND inside a host (or ctl, or front), with that node's settings in its environment.

    \b
    Example:
      lmigrate lab exec node5 -- virsh list
    """
    attached = Lab.attach(lab_id)
    if node not in attached.nodes:
        raise NoSuchHost(lab_id=lab_id, host=node, hosts=", ".join(attached.nodes))
    sys.exit(attached.nodes[node].exec(command[command[0] == "--" :]))


@lab.command("env")
@id_option
def env(lab_id: str) -> None:
    """Print the settings of a lab for a shell on this machine; its passwords are among them.

    In that shell `lmigrate lab …` means that lab too (LMIGRATE_LAB_ID), unless --id says otherwise.

    \b
    Example:
      eval "$(lmigrate lab env)"
    """
    click.echo(f"export {VARIABLE}={shlex.quote(lab_id)}")
    for name, value in Lab.attach(lab_id).env().items():
        if name.startswith("LMIGRATE_"):
            click.echo(f"export {name}={shlex.quote(value)}")


@lab.command("demo")
@click.option("--id", "lab_id", default="demo", show_default=True, help="Which lab.")
@click.option("--keep", is_flag=True, help="Leave the lab and the guest for a look.")
def show_demo(lab_id: str, *, keep: bool) -> None:
    """Move a running guest between two hosts by one HTTP request, and show what it noticed of that.

    \b
    Example:
      lmigrate lab demo --keep
    """
    demo.run(LabOptions(lab_id=lab_id), click.echo, keep=keep)


def _present_options(lab_id: str) -> LabOptions:
    """The options that a lab stands with, so that a bare `up` starts what is missing of it; the defaults for a new one."""
    try:
        return replace(LabState.load(LabPaths.of(lab_id)).options, daemons=True)
    except NoSuchLab:
        return LabOptions(lab_id=lab_id)


def _as_is(value: Any) -> Any:
    return value


def _names(value: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in value.split(","))


def _pairs(values: tuple[str, ...]) -> dict[str, str]:
    pairs = [value.partition("=") for value in values]
    if bad := [name for name, separator, _ in pairs if not separator]:
        raise click.UsageError(f"{bad[0]!r}: NAME=VALUE is expected")
    return {name: value for name, _, value in pairs}


def _memory(values: tuple[str, ...]) -> dict[str, int]:
    try:
        return {name: int(value) for name, value in _pairs(values).items()}
    except ValueError as error:
        raise click.UsageError(f"--memory-mib HOST=N: {error}") from error


_PARSE: dict[str, Callable[[Any], Any]] = {"hosts": _names, "memory_mib": _memory, "env": _pairs}


def _print_table(found: status.LabStatus) -> None:
    console = Console()
    console.print(f"lab [bold]{found.id}[/] in {found.directory}: {found.accel.upper()} ({found.accel_reason})", soft_wrap=True)
    transport = "TLS" if found.tls else "plain TCP"
    console.print(
        f"{found.instances} instances, {found.database}, {transport} between hosts; API {found.url}, Flower {found.flower_url}",
        soft_wrap=True,
    )
    table = Table("node", "address", "link", "daemons", "guests")
    for node in found.nodes:
        daemons = ", ".join(f"{name}: {state}" for name, state in node.daemons.items()) if node.up else "[red]down[/]"
        guests = "?" if node.guests is None and node.link else ", ".join(f"{name}: {state}" for name, state in (node.guests or {}).items())
        table.add_row(node.name, node.address or "127.0.0.1", node.link or "", daemons, guests)
    console.print(table)
