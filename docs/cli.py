"""Write docs/reference/cli.md from the commands' own help.

python docs/cli.py            write it
python docs/cli.py --check    exit 1 if it is stale
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterator
from pathlib import Path

import click

from lmigrate.cli.main import main as lmigrate

PAGE = Path(__file__).parent / "reference" / "cli.md"
HEADER = """\
# The command line

Written by `make docs` from the commands' own help; do not edit. How it finds the API, what its exit codes mean and how names are
completed: [command-line.md](../command-line.md).
"""
_KEPT = "\b\n"


def main() -> int:
    """Write the page, or compare it."""
    page = render()
    if "--check" not in sys.argv[1:]:
        PAGE.write_text(page)
        return 0
    if PAGE.exists() and PAGE.read_text() == page:
        return 0
    sys.stderr.write("docs/reference/cli.md is stale: run make docs\n")
    return 1


def render() -> str:
    """The whole page."""
    return HEADER + _options(lmigrate) + "".join(_command(command, words) for words, command in _commands(lmigrate, ("lmigrate",)))


def _commands(group: click.Group, words: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    """Every command below a group, in the order of its help."""
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None  # noqa: S101 - for mypy: it has just been listed
        yield (*words, name), command
        if isinstance(command, click.Group):
            yield from _commands(command, (*words, name))


def _command(command: click.Command, words: tuple[str, ...]) -> str:
    if isinstance(command, click.Group):
        return f"\n{'#' * len(words)} {' '.join(words)}\n\n{_text(command)}\n"
    arguments = [parameter.make_metavar(click.Context(command)) for parameter in command.params if isinstance(parameter, click.Argument)]
    title = " ".join([*words, *arguments])
    return f"\n{'#' * max(len(words), 3)} `{title}`\n\n{_text(command)}\n{_options(command)}"


def _text(command: click.Command) -> str:
    """The help: paragraphs as they are, and what is to be kept line by line as a block of code."""
    paragraphs = inspect.cleandoc(command.help or "").split("\n\n")
    return "\n\n".join(_block(part.removeprefix(_KEPT)) if part.startswith(_KEPT) else part for part in paragraphs)


def _block(lines: str) -> str:
    head, _, rest = lines.partition("\n")
    language = "sh" if head.startswith("Example") else "text"
    return f"{head}\n\n```{language}\n{inspect.cleandoc(rest)}\n```"


def _options(command: click.Command) -> str:
    context = click.Context(command, info_name=command.name, show_default=True)
    rows = [parameter.get_help_record(context) for parameter in command.params if isinstance(parameter, click.Option)]
    lines = [f"| `{_cell(name)}` | {_cell(text)} |\n" for name, text in filter(None, rows)]
    return "\n| option | meaning |\n| --- | --- |\n" + "".join(lines) if lines else ""


def _cell(text: str) -> str:
    return text.replace("|", chr(92) + "|").replace("*", chr(92) + "*")


if __name__ == "__main__":
    sys.exit(main())
