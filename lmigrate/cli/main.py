"""`lmigrate`: the group of all commands.  Each is imported only when it is used, so that `--help` is quick."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any, cast

import click

from lmigrate.cli import streams
from lmigrate.cli.endpoint import said_in
from lmigrate.cli.exit_codes import INTERRUPTED

#: name → where the command is, and its line in the help
COMMANDS = {
    "server": ("lmigrate.cli.server_cmd:server", "Guests: list, show, plan, migrate, forget."),
    "migration": ("lmigrate.cli.migration_cmd:migration", "Migrations: list, show, watch, abort, resolve."),
    "host": ("lmigrate.cli.host_cmd:host", "Hosts: list, show, enable, disable; `run` is the host's daemon."),
    "service": ("lmigrate.cli.service_cmd:service", "The hosts' daemons as Nova's services: list, enable, disable, force-down."),
    "token": ("lmigrate.cli.token_cmd:token", "Tokens: who may use the API, and as what."),
    "audit": ("lmigrate.cli.audit_cmd:audit", "The audit: who wanted to change what, and what became of it."),
    "volume": ("lmigrate.cli.volume_cmd:volume", "Volumes: list, show, register, attachments."),
    "doctor": ("lmigrate.cli.doctor_cmd:doctor", "What needs a human, why, and the commands for it."),
    "api": ("lmigrate.cli.daemon_cmd:api", "The HTTP API."),
    "conductor": ("lmigrate.cli.daemon_cmd:conductor", "The conductor: chooses destinations, rolls back, reconciles."),
    "beat": ("lmigrate.cli.daemon_cmd:beat", "The clock of the periodic tasks."),
    "flower": ("lmigrate.cli.daemon_cmd:flower", "Flower, the page that shows Celery's tasks."),
    "storage": ("lmigrate.cli.daemon_cmd:storage", "The storage daemon: grants hosts access to volumes."),
    "db": ("lmigrate.cli.db_cmd:db", "The database: upgrade, downgrade, check."),
    "secrets": ("lmigrate.cli.secrets_cmd:secrets", "Keys of the secrets in the database: new-key, rotate."),
    "completion": ("lmigrate.cli.completion_cmd:completion", "What bash, zsh and fish need to complete names and options."),
    "broker": ("lmigrate.cli.broker_cmd:broker", "The broker (Redis): users and rules for it."),
    "lab": ("lmigrate.lab.lab_cmd:lab", "Real libvirt hosts on this machine, to try and to test with. Needs root."),
}

EPILOG = """\b
Exit codes:
  0  it worked
  1  it failed
  2  wrong usage, values or settings
  3  what was named does not exist
  4  it conflicts with what is there
  5  the API cannot be reached, is not ready, or is asked too often
  6  the migration failed
  7  the migration was cancelled
  8  the API does not know you, or does not let you
  9  something needs an operator (doctor)
  130  you pressed Ctrl-C
\b
Examples:
  lmigrate server list
  lmigrate server migrate web1 --host node6 --watch
  lmigrate migration list --status running -o json
  lmigrate host disable node5 --reason "new memory"
\b
Where the API is, and the token for it: options and LMIGRATE_… variables; else the profile; else OS_ENDPOINT and
OS_TOKEN. A --profile goes before LMIGRATE_… variables. docs/command-line.md says more.
"""


_FILE = click.Path(path_type=Path)


class LazyGroup(click.Group):
    """Imports a command when it is run, not when it is listed; ends every command cleanly."""

    def main(self, *args: Any, **options: Any) -> Any:
        """Run a command.

        Raises:
            SystemExit: it has ended.
        """
        streams.prepare()
        try:
            return super().main(*args, **options)
        except OSError as error:
            if not streams.is_full(error):
                raise
            return streams.give_up(error)

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command, within click's own care for how it ends."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            raise click.exceptions.Exit(INTERRUPTED) from None

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names, in the order of the table."""
        del ctx
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the command."""
        del ctx
        if cmd_name not in COMMANDS:
            return None
        module, _, attribute = COMMANDS[cmd_name][0].partition(":")
        return cast("click.Command", getattr(importlib.import_module(module), attribute))

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands without importing them."""
        del ctx
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in COMMANDS.items()])


@click.group(cls=LazyGroup, epilog=EPILOG, context_settings={"help_option_names": ["-h", "--help"], "show_default": True})
@click.version_option(package_name="lmigrate", prog_name="lmigrate")
@click.option("--url", envvar="LMIGRATE_URL", show_envvar=True, help="Where the API is; http://127.0.0.1:8774, if nothing else says so.")
@click.option("--profile", envvar="LMIGRATE_PROFILE", show_envvar=True, help="Section of ~/.config/lmigrate/config.toml that says it.")
@click.option(
    "--token", envvar="LMIGRATE_TOKEN", show_envvar=True, help="Shown to it. Better as a variable, where other users do not see it."
)
@click.option(
    "--cacert", envvar="LMIGRATE_CACERT", show_envvar=True, type=_FILE, help="Authorities (PEM) that its certificate is checked against."
)
@click.option(
    "--cert", envvar="LMIGRATE_CERT", show_envvar=True, type=_FILE, help="Certificate (PEM) of your own, for a proxy that asks for one."
)
@click.option("--key", envvar="LMIGRATE_KEY", show_envvar=True, type=_FILE, help="Its key (PEM).")
@click.pass_context
def main(ctx: click.Context, /, **_options: object) -> None:
    """Move running KVM guests between plain libvirt hosts."""
    ctx.obj = said_in(ctx)


if __name__ == "__main__":
    main(prog_name="lmigrate")
