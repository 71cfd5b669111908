"""What the command line prints: tables for people, JSON and YAML for programs, plain lines when piped."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from lmigrate.output import print_data

Row = Mapping[str, Any]
Cell = Callable[[Row], object]

#: so wide that nothing is folded when the reader is a program
_PIPE_WIDTH = 10_000
#: never folded, so that they can be copied
_WHOLE = {"UUID", "ID", "NAME", "HOST"}
_UNITS = ("B", "KiB", "MiB", "GiB", "TiB")


def console() -> Console:
    """Standard output; escape sequences only on a terminal."""
    return Console(width=None if sys.stdout.isatty() else _PIPE_WIDTH, highlight=False, soft_wrap=False)


def print_rows(rows: Iterable[Row], columns: Mapping[str, Cell], output: str) -> None:
    """A list: a table of ``columns``, or the rows as they are."""
    found = list(rows)
    if output != "table":
        print_data(found, output)
        return
    table = _table(*columns)
    for row in found:
        table.add_row(*[text(cell(row)) for cell in columns.values()])
    console().print(table)


def print_facts(facts: Mapping[str, object]) -> None:
    """One thing: a line for each fact."""
    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    for name, value in facts.items():
        table.add_row(Text(name, style="bold"), text(value))
    console().print(table)


def print_table(title: str, header: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """A titled table under the facts of something; nothing when it is empty."""
    found = list(rows)
    if not found:
        return
    table = _table(*header)
    for row in found:
        table.add_row(*[text(value) for value in row])
    console().print()
    console().print(Text(title, style="bold"))
    console().print(table)


def text(value: object) -> Text:
    """A cell.  What a guest or host is called may hold anything: nothing of it reaches the terminal as a command."""
    if value is None or value == "":
        return Text("-", style="dim")
    if isinstance(value, bool):
        return Text("yes" if value else "no")
    return Text(printable(str(value)))


def printable(raw: str) -> str:
    """``raw`` without control characters."""
    return "".join(character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in raw)


def size(count: float | None) -> str:
    """Bytes for people: 1.5 GiB."""
    if count is None:
        return "-"
    unit = 0
    while count >= 1024 and unit < len(_UNITS) - 1:
        count, unit = count / 1024, unit + 1
    return f"{count:.0f} {_UNITS[unit]}" if unit == 0 or count >= 100 else f"{count:.1f} {_UNITS[unit]}"


def moment(value: str | None) -> str | None:
    """An ISO moment without its fraction."""
    return None if value is None else value.partition(".")[0].removesuffix("Z").replace("T", " ")


def dashed(kind: str) -> str:
    """A kind of the API as the command line spells it: ``force_complete`` → ``force-complete``."""
    return kind.replace("_", "-")


def _table(*header: str) -> Table:
    terminal = sys.stdout.isatty()
    table = Table(box=box.SIMPLE_HEAD if terminal else None, pad_edge=False, header_style="bold" if terminal else "")
    for name in header:
        table.add_column(name, overflow="fold", no_wrap=name in _WHOLE)
    return table
