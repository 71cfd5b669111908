"""`lmigrate lab volume`: volumes for the lab's guests."""

from __future__ import annotations

import click

from lmigrate.lab.guests.spec import NAME
from lmigrate.lab.id_option import attached, id_option
from lmigrate.lab.tgt import BACKEND
from lmigrate.lab.volumes import create_volume
from lmigrate.output import output_option, print_data


@click.group("volume")
def volume() -> None:
    """Volumes on the lab's own iSCSI target, which every host reaches."""


@volume.command("create")
@click.argument("name")
@id_option
@output_option
@click.option(
    "--size-mib", type=click.IntRange(1, 1 << 20), default=64, show_default=True, help="The file behind it grows as it is written."
)
def create_command(name: str, lab_id: str, output: str, size_mib: int) -> None:
    """Make an empty volume NAME; `lab guest start --volume NAME` gives it to a guest.

    \b
    Example:
      lmigrate lab volume create data1 --size-mib 256
    """
    if not NAME.fullmatch(name):
        raise click.BadParameter(f"{name!r} cannot be the name of a volume: up to 63 letters, digits, dots, - and _", param_hint="NAME")
    made = create_volume(attached(lab_id), name, size_mib)
    if output != "table":
        print_data({"name": name, "uuid": made.uuid, "backend": BACKEND, "size_mib": size_mib, "path": str(made.path)}, output)
    else:
        click.echo(f"{name} ({made.uuid}), {size_mib} MiB on {BACKEND}; its content is in {made.path}")
