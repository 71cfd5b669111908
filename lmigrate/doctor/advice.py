"""Commands for a human: what to look with, and the ways out.  Pure.

A command names only hosts, UUIDs, ids and quoted paths, so that it can be copied into a shell as it stands.
"""

from __future__ import annotations

import shlex
from dataclasses import dataclass

_VIRSH = "virsh -c qemu:///system"


@dataclass(frozen=True)
class Command:
    """One command, and what it is for."""

    what: str
    command: str
    host: str | None = None  # where, as root; None: wherever lmigrate's command line is


@dataclass(frozen=True)
class Way:
    """One way out: when it is the right one, and its commands in order."""

    when: str
    commands: tuple[Command, ...] = ()


@dataclass(frozen=True)
class Advice:
    """What to look at first, changing nothing; then one of the ways."""

    look: tuple[Command, ...] = ()
    ways: tuple[Way, ...] = ()


def virsh(host: str, what: str, *words: str) -> Command:
    """A command of virsh on one host."""
    return Command(what, f"{_VIRSH} {shlex.join(words)}", host)


def cli(what: str, *words: str) -> Command:
    """A command of lmigrate."""
    return Command(what, f"lmigrate {shlex.join(words)}")


def state(host: str, uuid: str) -> Command:
    """Look at a domain."""
    return virsh(host, "what this host has of the guest", "domstate", "--reason", uuid)
