"""How the command line ends: a code for scripts and a sentence for people."""

from __future__ import annotations

from enum import IntEnum

import click


class ExitCode(IntEnum):
    """What the exit status says; `lmigrate --help` lists them."""

    OK = 0
    FAILED = 1
    USAGE = 2
    NOT_FOUND = 3
    CONFLICT = 4
    UNREACHABLE = 5
    MIGRATION_FAILED = 6
    MIGRATION_CANCELLED = 7
    DENIED = 8
    NEEDS_OPERATOR = 9


#: Ctrl-C: 128 and the signal's number, as of a shell
INTERRUPTED = 130

#: HTTP status → exit code; any other is FAILED
OF_STATUS = {
    401: ExitCode.DENIED,
    403: ExitCode.DENIED,
    404: ExitCode.NOT_FOUND,
    409: ExitCode.CONFLICT,
    429: ExitCode.UNREACHABLE,
    502: ExitCode.UNREACHABLE,
    503: ExitCode.UNREACHABLE,
    504: ExitCode.UNREACHABLE,
}

#: code of a problem document → exit code, before its status
OF_CODE = {
    "InvalidInput": ExitCode.USAGE,
    "UnknownHost": ExitCode.NOT_FOUND,
}


class Failure(click.ClickException):
    """Ends the command with a sentence on standard error."""

    def __init__(self, message: str, code: ExitCode = ExitCode.FAILED) -> None:
        super().__init__(message)
        self.exit_code: int = int(code)  # type: ignore[misc]  # click reads it from the instance


class Unreachable(Failure):
    """The API did not answer."""

    def __init__(self, message: str) -> None:
        super().__init__(message, ExitCode.UNREACHABLE)


class Refused(Failure):
    """The API answered with an error."""

    def __init__(self, message: str, status: int, code: str = "") -> None:
        super().__init__(message, OF_CODE.get(code) or OF_STATUS.get(status, ExitCode.FAILED))
        self.status = status
