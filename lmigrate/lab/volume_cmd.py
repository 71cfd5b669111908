"""`lmigrate lab volume`: volumes for the lab's guests."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import click

from lmigrate.lab.id_option import id_option
from lmigrate.lab.tgt import BACKEND
from lmigrate.lab.volumes import create_volume
from lmigrate.output import output_option, print_data

if TYPE_CHECKING:
    from lmigrate.lab.topology import Lab

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")


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
    if not _NAME.fullmatch(name):
        raise click.BadParameter(f"{name!r} cannot be the name of a volume: up to 63 letters, digits, dots, - and _", param_hint="NAME")
    made = create_volume(_lab(lab_id), name, size_mib)
    if output != "table":
        print_data({"name": name, "uuid": made.uuid, "backend": BACKEND, "size_mib": size_mib, "path": str(made.path)}, output)
    else:
        click.echo(f"{name} ({made.uuid}), {size_mib} MiB on {BACKEND}; its content is in {made.path}")


def _lab(lab_id: str) -> Lab:
    from lmigrate.lab.topology import Lab  # noqa: PLC0415 - the lab's command line imports this module

    return Lab.attach(lab_id)
