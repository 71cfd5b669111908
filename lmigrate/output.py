"""``-o table|json|yaml``, as every command has it that prints what a program may want."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from typing import Any, TypeVar

import click
import yaml

F = TypeVar("F", bound=Callable[..., Any])


def output_option(command: F) -> F:
    """``-o table|json|yaml``."""
    return click.option("-o", "--output", type=click.Choice(["table", "json", "yaml"]), default="table", help="How to print.")(command)


def print_data(value: object, output: str) -> None:
    """JSON or YAML, of plain data."""
    if output == "yaml":
        click.echo(yaml.safe_dump(value, sort_keys=False, allow_unicode=_knows_all_characters()), nl=False)
    else:
        click.echo(json.dumps(value, indent=2))


def _knows_all_characters() -> bool:
    """Whether standard output takes every character as it is."""
    return (sys.stdout.encoding or "").lower().replace("-", "").startswith("utf")
