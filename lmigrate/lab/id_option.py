"""``--id``: which lab a command is about."""

from __future__ import annotations

import click

from lmigrate.lab.options import check_lab_id

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
