"""Runs in a client's environment: the `openstack` command, once for each line of standard input.

A line is a JSON array of arguments; the answer is a line with the exit code and what the command wrote. Each command has a process of its
own, as from a terminal; only what the client imports is loaded once, which takes most of the time.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import sys

from openstackclient.shell import OpenStackShell


def run(arguments: list[str]) -> dict[str, object]:
    """What `openstack ARGUMENTS` does."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            code = OpenStackShell().run(arguments)
        except SystemExit as ended:
            code = ended.code
    return {"code": code, "out": out.getvalue(), "err": err.getvalue()}


def main() -> None:
    """Until standard input ends."""
    run(["--help"])  # loads the plugins
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            sys.stdout.write(json.dumps(run(json.loads(line))) + "\n")
            sys.stdout.flush()
            os._exit(0)
        os.waitpid(child, 0)


if __name__ == "__main__":
    main()
