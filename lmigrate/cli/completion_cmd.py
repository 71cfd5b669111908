"""`lmigrate completion`: what bash, zsh and fish need to complete commands, options, and the names of what there is."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

import click
from click.shell_completion import CompletionItem, get_completion_class

from lmigrate.cli.endpoint import completion_timeout_s, said_in
from lmigrate.cli.exit_codes import Failure

Names = Callable[[click.Context, click.Parameter, str], list[CompletionItem]]

PROGRAM = "lmigrate"
VARIABLE = "_LMIGRATE_COMPLETE"
#: more than that no shell shows
_MOST = 200
#: what no shell takes for anything but a word: bash puts on the line what it is offered, unquoted
_PLAIN = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.:@%+-]*\Z")


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    """Print what SHELL needs to complete commands, options, and names of guests, hosts, volumes and migrations.

    Names come from the API; they are missing, and nothing else happens, when it does not answer within a second
    (LMIGRATE_COMPLETION_TIMEOUT_S).

    \b
    Examples:
      lmigrate completion bash > /etc/bash_completion.d/lmigrate
      lmigrate completion zsh > /usr/local/share/zsh/site-functions/_lmigrate
      lmigrate completion fish > ~/.config/fish/completions/lmigrate.fish
    """
    found = get_completion_class(shell)
    if found is None:
        raise Failure(f"There is no completion for {shell}.")
    click.echo(found(click.get_current_context().find_root().command, {}, PROGRAM, VARIABLE).source())


def _names(path: str, key: str, *, anchored: bool = True, field: str = "name", **query: object) -> Names:
    """Completes ``field`` of the rows of a list of ``/v1``; what a shell would have to quote is left out."""

    def complete(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        del param
        wanted = {"name": f"^{incomplete}" if anchored else None, **query}
        try:
            names = _rows(ctx, path, key, field, wanted)
            return [CompletionItem(name) for name in names if name.startswith(incomplete) and _PLAIN.match(name)]
        except Failure:
            return []  # the line being typed is no place for a message

    return complete


def _rows(ctx: click.Context, path: str, key: str, field: str, query: dict[str, object]) -> Iterator[str]:
    import httpx  # noqa: PLC0415 - help needs none of it

    from lmigrate.cli.client import Client  # noqa: PLC0415

    client = Client(said_in(ctx.find_root()), httpx.Timeout(completion_timeout_s()))
    return (str(row[field]) for row in client.pages(path, key, _MOST, **query))


servers = _names("/v1/servers", "servers")
hosts = _names("/v1/hosts", "hosts", anchored=False)
volumes = _names("/v1/volumes", "volumes", anchored=False)
migrations = _names("/v1/migrations", "migrations", anchored=False, field="id")
