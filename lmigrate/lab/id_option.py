"""``--id``: which lab a command is about."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from lmigrate.lab.options import check_lab_id

if TYPE_CHECKING:
    from lmigrate.lab.topology import Lab

#: `lab env` sets it, so that a shell that was pointed at a lab speaks of that one
VARIABLE = "LMIGRATE_LAB_ID"
id_option = click.option(
    "--id",
    "lab_id",
    default="lab",
    envvar=VARIABLE,
    show_envvar=True,
    show_default=True,
    callback=lambda _ctx, _param, value: check_lab_id(value),
    help="Which lab.",
)


def attached(lab_id: str) -> Lab:
    """The lab of that id, for commands below `lmigrate lab`.

    Raises:
        NoSuchLab: there is none.
    """
    from lmigrate.lab.topology import Lab  # noqa: PLC0415 - the lab's command line imports those commands

    return Lab.attach(lab_id)
