"""Standard output that is closed, full or knows few characters."""

from __future__ import annotations

import errno
import io
import os
import sys

#: of a write to what takes no more; a reader that has gone away is click's
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EBADF}


def prepare() -> None:
    """Print what the terminal's encoding has no character for as ``\\u2192``, and do nothing at all if nobody could read what came of it.

    Raises:
        SystemExit: standard output is closed.
    """
    if sys.stdout is None:
        _end("Standard output is closed: nothing was done. Send it to /dev/null to do without.")
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")


def is_full(error: OSError) -> bool:
    """Whether that came of printing."""
    return error.errno in _FULL and error.filename is None


def give_up(error: OSError) -> None:
    """End with a sentence.  Python writes out at its end what is left, and would complain once more.

    Raises:
        SystemExit: always.
    """
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    _end(f"Standard output cannot be written: {error.strerror}. What was asked for may have been done all the same.")


def _end(sentence: str) -> None:
    if sys.stderr is not None:
        sys.stderr.write(f"Error: {sentence}\n")
    raise SystemExit(1)
