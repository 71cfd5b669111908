"""The only place that runs commands: argument lists, a deadline, and an error that says what was run."""

from __future__ import annotations

import shlex
import subprocess
from collections.abc import Sequence

from lmigrate.errors import LmigrateError


class CommandFailed(LmigrateError):
    """`{command}` failed ({reason})"""


def run(argv: Sequence[str], *, timeout_s: float = 60.0, hidden: Sequence[str] = (), stdin: str = "") -> str:
    """Run ``argv`` (never through a shell) with ``stdin`` as its standard input, and return its standard output.

    Words in ``hidden`` are secrets: an error shows ``***`` in their place.

    Raises:
        CommandFailed: it could not be started, exited non-zero, or took longer than ``timeout_s`` seconds.
    """
    command = shlex.join("***" if word in hidden else word for word in argv)
    try:
        done = subprocess.run(list(argv), input=stdin, capture_output=True, text=True, timeout=timeout_s, check=False)
    except subprocess.TimeoutExpired as error:
        raise CommandFailed(command=command, reason=f"no end within {timeout_s:g} s") from error
    except OSError as error:
        raise CommandFailed(command=command, reason=str(error)) from error
    if done.returncode != 0:
        raise CommandFailed(command=command, reason=f"exit {done.returncode}: {done.stderr.strip()[-500:]}")
    return done.stdout
