"""Following a migration: a live bar on a terminal, lines in a pipe, and an exit code that tells how it ended."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass

import click
from rich.console import Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from lmigrate import clock
from lmigrate.cli.client import Client, Json
from lmigrate.cli.exit_codes import INTERRUPTED, ExitCode, Failure, Unreachable
from lmigrate.cli.render import console, dashed, printable, size

_POLL_S = 0.5
_LINE_EVERY_S = 5.0
#: how long the API may be away before following ends
_PATIENCE_S = 60.0

ENDS = {
    "completed": ExitCode.OK,
    "failed": ExitCode.MIGRATION_FAILED,
    "error": ExitCode.MIGRATION_FAILED,
    "cancelled": ExitCode.MIGRATION_CANCELLED,
}


@dataclass(frozen=True)
class View:
    """What is shown of a migration at one moment."""

    percent: int
    status: str
    sentence: str

    def __str__(self) -> str:
        return f"{self.percent:3d}%  {self.status}: {self.sentence}"


def follow(client: Client, migration_id: int) -> None:
    """Show the migration until it ends.

    Raises:
        Failure: it did not end well, with the exit code for it; or the API stayed away.
    """
    try:
        last = _show_live(client, migration_id) if sys.stdout.isatty() else _show_lines(client, migration_id)
    except KeyboardInterrupt:
        again, end = f"lmigrate migration watch {migration_id}", f"lmigrate migration abort {migration_id}"
        click.echo(f"\nThe migration goes on. See it again: {again}; end it: {end}", err=True)
        raise click.exceptions.Exit(INTERRUPTED) from None
    _end(last)


def view(migration: Json, shown_percent: int) -> View:
    """What to show; the percent never goes back, though the guest dirties memory that was sent before."""
    percent = max(shown_percent, int(migration["progress"]["percent"]))
    return View(percent, migration["status"], _sentence(migration))


def _sentence(migration: Json) -> str:
    steps = [step for step in migration["steps"] if step["attempt"] == migration["attempt"]]
    running = next((step["name"] for step in steps if step["state"] in {"running", "undoing"}), None)
    parts = [route(migration)]
    if migration["phase"] == "rolling-back":
        parts.append("rolling back")
    if migration["pending_request"] is not None:
        parts.append(f"{dashed(migration['pending_request'])} pending")
    if running is not None:
        parts.append(running.replace("_", " "))
    if migration["status"].startswith("running"):
        parts += _copying(migration["progress"])
    return ", ".join(parts)


def route(migration: Json) -> str:
    """From where to where; before a destination was chosen, and where none was, that is said."""
    none = "destination not chosen yet" if migration["status"] not in ENDS else "no destination"
    return f"{migration['source_host']} → {migration['dest_host'] or none}"


def _copying(progress: Json) -> Iterator[str]:
    total = progress["memory_total_bytes"] + progress["disk_total_bytes"]
    if total:
        left = progress["memory_remaining_bytes"] + progress["disk_remaining_bytes"]
        yield f"{size(left)} of {size(total)} left"
    if progress["bandwidth_bps"]:
        yield f"{size(progress['bandwidth_bps'])}/s"
    if progress["dirty_rate_bps"]:
        yield f"dirtied {size(progress['dirty_rate_bps'])}/s"
    if progress["iteration"]:
        yield f"iteration {progress['iteration']}"
    if progress["expected_downtime_ms"] is not None:
        yield f"pause about {progress['expected_downtime_ms']} ms"
    if (left_s := eta_s(progress)) is not None:
        yield f"about {left_s:.0f} s to go"
    if progress["throttle_percent"]:
        yield f"guest slowed by {progress['throttle_percent']}%"


def eta_s(progress: Json) -> float | None:
    """Seconds until everything is sent at the present rates; None when memory is dirtied as fast as it is sent, or nobody knows."""
    left = progress["memory_remaining_bytes"] + progress["disk_remaining_bytes"]
    gained_bps = (progress["bandwidth_bps"] or 0) - (progress["dirty_rate_bps"] or 0)
    return left / gained_bps if left and gained_bps > 0 else None


def _states(client: Client, migration_id: int) -> Iterator[Json]:
    """The migration, each time it is looked at, until it has ended."""
    heard_s = clock.monotonic_s()
    while True:
        try:
            migration = client.migration(migration_id)
        except Unreachable:
            if clock.monotonic_s() - heard_s > _PATIENCE_S:
                raise
        else:
            heard_s = clock.monotonic_s()
            yield migration
            if migration["status"] in ENDS:
                return
        clock.sleep_s(_POLL_S)


class Told:
    """What was printed last; ``line`` is it."""

    def __init__(self) -> None:
        self.line, self._key, self._at_s = "", "", 0.0

    def is_worth(self, line: str, key: str, now_s: float) -> bool:
        """Whether ``line`` is to be printed: it says something new, and ``key`` has changed or the last line is some seconds old."""
        if line == self.line or (key == self._key and now_s - self._at_s < _LINE_EVERY_S):
            return False
        self.line, self._key, self._at_s = line, key, now_s
        return True


def _show_lines(client: Client, migration_id: int) -> Json:
    """A line when the status or step changes, and every few seconds while it is copied."""
    percent, last, told = 0, {}, Told()
    for last in _states(client, migration_id):
        seen = view(last, percent)
        percent = seen.percent
        steps = [(step["name"], step["state"]) for step in last["steps"]]
        if told.is_worth(printable(str(seen)), f"{seen.status}{steps}", clock.monotonic_s()):
            click.echo(told.line)
    return last


def _show_live(client: Client, migration_id: int) -> Json:
    percent, last = 0, {}
    with Live(console=console(), refresh_per_second=4) as live:
        for last in _states(client, migration_id):
            seen = view(last, percent)
            percent = seen.percent
            live.update(_bar(seen))
    return last


def _bar(seen: View) -> Group:
    grid = Table.grid(padding=(0, 1))
    grid.add_row(ProgressBar(total=100, completed=seen.percent, width=30), Text(f"{seen.percent:3d}%"), Text(seen.status, style="bold"))
    return Group(grid, Text(printable(seen.sentence)))


def _end(migration: Json) -> None:
    """Say how it ended."""
    code = ENDS[migration["status"]]
    number = migration["id"]
    if code is ExitCode.OK:
        pause = f", the guest paused for {migration['downtime_ms']} ms" if migration["downtime_ms"] is not None else ""
        click.echo(f"Migration {number} completed: {printable(migration['instance_name'] or '')} runs on {migration['dest_host']}{pause}.")
        return
    reason = printable(migration["error"] or "no reason was recorded")
    if migration["status"] == "error":
        raise Failure(f"Migration {number} is held for an operator: {reason} (lmigrate migration show {number})", code)
    sentence = reason if reason.endswith((".", "!", "?")) else f"{reason}."
    raise Failure(f"Migration {number} {migration['status']}: {sentence} The guest is on {migration['source_host']}.", code)
