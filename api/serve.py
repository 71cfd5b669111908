"""gunicorn in front of the application: `lmigrate api run`."""

from __future__ import annotations

import gc
import ssl
import sys
from typing import Any

from flask import Flask
from gunicorn.app.base import BaseApplication

from api import caller
from api.app import create_app
from api.slow_clients import ImpatientWorker
from lmigrate import log
from lmigrate.access import tokens
from lmigrate.config import Settings, settings
from lmigrate.db.availability import NO_TABLES, UNAVAILABLE
from lmigrate.db.patience import hurrying
from lmigrate.db.session import disconnect
from lmigrate.errors import LmigrateError

#: the exit code, as of `lmigrate` itself
WRONG_SETTINGS = 2


class NoCertificate(LmigrateError):
    """api.tls is set, but tls.cert_file and tls.key_file are not."""


class UnusableCertificate(LmigrateError):
    """tls.cert_file ({cert}) and tls.key_file ({key}) cannot be used: {reason}."""


class Server(BaseApplication):  # type: ignore[misc]
    """One process with threads: requests wait for the database, not for a CPU."""

    def load_config(self) -> None:
        """Our settings instead of gunicorn's command line."""
        options = settings().api
        chosen: dict[str, Any] = {
            **tls_files(settings()),
            "bind": options.bind,
            "worker_class": ImpatientWorker,
            "threads": options.threads,
            "timeout": 120,  # of a worker that does not answer at all, not of a request
            "graceful_timeout": 10,
            "keepalive": 5,
            "limit_request_line": 8190,
            "forwarded_allow_ips": "",  # api.proxies says whom to believe
            "proc_name": "lmigrate-api",
            "control_socket_disable": True,
        }
        for name, value in chosen.items():
            if name in self.cfg.settings:
                self.cfg.set(name, value)

    def load(self) -> Flask:
        """The application, made in the worker."""
        log.configure(settings().log)
        made = create_app()
        spare_the_collector()
        return made


def spare_the_collector() -> None:
    """Take all that there is, which stays, out of Python's collections: a full one walked through it for 70 ms, while a request waited."""
    gc.collect()
    gc.freeze()


def tls_files(options: Settings) -> dict[str, str]:
    """gunicorn's settings for HTTPS; empty for HTTP.

    Raises:
        NoCertificate: HTTPS is wanted, but there is no certificate.
    """
    tls = options.tls
    if options.api.tls and tls.cert_file is None:
        raise NoCertificate
    if options.api.tls is False or tls.cert_file is None:
        return {}
    return {"certfile": str(tls.cert_file), "keyfile": str(tls.key_file)}


def require_usable(files: dict[str, str]) -> None:
    """Whether HTTPS can be served with what ``tls_files`` says.

    Raises:
        UnusableCertificate: one of them cannot be read, is none, or they do not belong together.
    """
    if not files:
        return
    try:
        ssl.create_default_context(ssl.Purpose.CLIENT_AUTH).load_cert_chain(files["certfile"], files["keyfile"])
    except OSError as error:  # ssl.SSLError is one
        raise UnusableCertificate(cert=files["certfile"], key=files["keyfile"], reason=error.strerror) from error


def say_risks(options: Settings) -> None:
    """Write to standard error, whatever the log's level, what whoever starts this should know."""
    mode = caller.mode_of(options.auth, options.api, options.api.bind)
    for sentence in caller.why_risky(mode, options.api.bind, options.api, has_tls=bool(tls_files(options))):
        sys.stderr.write(f"WARNING: {sentence}\n")
    if mode != "none" and not _can_anybody_log_in():
        sys.stderr.write(f"WARNING: {_NOBODY[mode]}\n")


_FIRST = "Make the first on a machine with these settings: `lmigrate token create NAME --role admin --local`."
_NOBODY = {
    "token": f"NOBODY CAN LOG IN: there is no token. {_FIRST}",
    "keystone": f"Nobody can log in but by Keystone: there is no token of lmigrate's own. {_FIRST}",
}


#: for a database that hangs: the warning is worth no more
_PATIENCE_S = 2.0


def _can_anybody_log_in() -> bool:
    try:
        with hurrying(_PATIENCE_S):
            return tokens.are_there_any()
    except (*UNAVAILABLE, *NO_TABLES):
        return True  # nobody knows, and /readyz says why
    finally:
        disconnect()  # gunicorn forks its workers from here


def main() -> None:
    """Serve until told to stop."""
    try:
        create_app()  # so that a wrong setting ends the command, not a worker again and again
        require_usable(tls_files(settings()))
        say_risks(settings())
    except LmigrateError as error:
        sys.stderr.write(f"Error: {' '.join(str(error).split())}\n")
        raise SystemExit(WRONG_SETTINGS) from None
    Server().run()


if __name__ == "__main__":
    main()
