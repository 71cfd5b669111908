"""The only place that runs commands: argument lists, a deadline, and an error that says what was run."""

from __future__ import annotations

import contextlib
import os
import shlex
import signal
import subprocess
from collections.abc import Sequence

from lmigrate.errors import LmigrateError

#: a process that the kernel holds (a dead NFS server) does not end when it is killed, and is left behind
_REAP_S = 1.0


class CommandFailed(LmigrateError):
    """`{command}` failed ({reason})"""


class CommandTimedOut(CommandFailed):
    """`{command}` failed ({reason})"""


def run(argv: Sequence[str], *, timeout_s: float = 60.0, hidden: Sequence[str] = (), stdin: str = "") -> str:
    """Run ``argv`` (never through a shell) with ``stdin`` as its standard input, and return its standard output.

    Words in ``hidden`` are secrets: an error shows ``***`` in their place.

    Raises:
        CommandFailed: it could not be started, or exited non-zero.
        CommandTimedOut: it took longer than ``timeout_s`` seconds; it and its children have been killed.
    """
    command = shlex.join("***" if word in hidden else word for word in argv)
    pipe = subprocess.PIPE
    try:
        started = subprocess.Popen(list(argv), text=True, start_new_session=True, stdin=pipe, stdout=pipe, stderr=pipe)
    except OSError as error:
        raise CommandFailed(command=command, reason=str(error)) from error
    try:
        output, errors = started.communicate(stdin, timeout=timeout_s)
    except subprocess.TimeoutExpired as error:
        raise CommandTimedOut(command=command, reason=f"no end within {timeout_s:g} s") from error
    finally:
        if started.returncode is None:
            _give_up(started)
    if started.returncode != 0:
        raise CommandFailed(command=command, reason=f"exit {started.returncode}: {errors.strip()[-500:]}")
    return output


def _give_up(started: subprocess.Popen[str]) -> None:
    """Kill it with its children, which may hold its pipes, and do not wait for what cannot be killed."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(started.pid, signal.SIGKILL)
    for pipe in (started.stdin, started.stdout, started.stderr):
        if pipe is not None:
            pipe.close()
    with contextlib.suppress(subprocess.TimeoutExpired):
        started.wait(_REAP_S)
