"""Every command says how it is used, by examples that are right."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator

import click
import pytest
from click.testing import CliRunner

from lmigrate.cli.main import main

pytestmark = pytest.mark.one_database

_VARIABLE = re.compile(r"[A-Z_]+=\S+")
_CALL = re.compile(r"(?:^|\$\()lmigrate ([^|>)]+)")


def leaves(command: click.Command, words: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    if not isinstance(command, click.Group):
        yield words, command
        return
    context = click.Context(command)
    for name in command.list_commands(context):
        found = command.get_command(context, name)
        assert found is not None
        yield from leaves(found, (*words, name))


COMMANDS = dict(leaves(main))


def examples(words: tuple[str, ...]) -> list[str]:
    """The lines below *Examples* in the help, as a terminal shows them."""
    shown = CliRunner().invoke(main, [*words, "--help"], terminal_width=200).output
    _, found, after = re.sub(r"\bExamples?:\n", "Examples:\n", shown).partition("Examples:\n")
    assert found, shown
    return [line.strip() for line in after.partition("\n\n")[0].splitlines()]


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_every_command_has_examples_that_it_would_accept(words: tuple[str, ...]) -> None:
    shown = examples(words)
    assert shown
    called = [call for line in shown for call in _CALL.findall(_VARIABLE.sub("", line).strip())]
    assert any(tuple(shlex.split(call))[: len(words)] == words for call in called), shown
    for call in called:
        accept(shlex.split(call))


def test_whatever_prints_for_programs_does_so_in_the_same_forms() -> None:
    forms = {
        words: list(option.type.choices)
        for words, command in COMMANDS.items()
        for option in command.params
        if "--output" in option.opts and isinstance(option.type, click.Choice)
    }
    shown = {words for words in COMMANDS if words[-1] in {"list", "show", "status", "report", "plan", "audit", "doctor"}}
    assert set(map(tuple, forms.values())) == {("table", "json", "yaml")}
    assert shown - set(forms) == set()


def accept(arguments: list[str]) -> None:
    """Parse a whole command line, and run nothing."""
    command: click.Command = main
    context = command.make_context("lmigrate", arguments, resilient_parsing=False)
    while isinstance(command, click.Group):
        rest = [*context._protected_args, *context.args]
        name, found, rest = command.resolve_command(context, rest)
        assert found is not None, name
        context = found.make_context(name, rest, parent=context)
        command = found
