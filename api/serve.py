"""gunicorn in front of the application: `lmigrate api run`."""

from __future__ import annotations

from typing import Any

from flask import Flask
from gunicorn.app.base import BaseApplication

from api.app import create_app
from lmigrate import log
from lmigrate.config import settings
from lmigrate.errors import LmigrateError


class Server(BaseApplication):  # type: ignore[misc]
    """One process with threads: requests wait for the database, not for a CPU."""

    def load_config(self) -> None:
        """Our settings instead of gunicorn's command line."""
        options = settings().api
        chosen: dict[str, Any] = {
            "bind": options.bind,
            "worker_class": "gthread",
            "threads": options.threads,
            "timeout": 120,  # of a worker that does not answer at all, not of a request
            "graceful_timeout": 10,
            "keepalive": 5,
            "limit_request_line": 8190,
            "proc_name": "lmigrate-api",
            "control_socket_disable": True,
        }
        for name, value in chosen.items():
            if name in self.cfg.settings:
                self.cfg.set(name, value)

    def load(self) -> Flask:
        """The application, made in the worker."""
        log.configure(settings().log)
        return create_app()


def main() -> None:
    """Serve until told to stop."""
    try:
        create_app()  # so that a wrong setting ends the command, not a worker again and again
    except LmigrateError as error:
        raise SystemExit(f"Error: {' '.join(str(error).split())}") from None
    Server().run()


if __name__ == "__main__":
    main()
