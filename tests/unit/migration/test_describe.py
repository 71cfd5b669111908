"""How an error is told: the system's own words for a full disk, the database's own name, never a statement or a stack."""

from __future__ import annotations

import errno
import sqlite3

from sqlalchemy.exc import OperationalError

from lmigrate.errors import MigrationFailed
from lmigrate.migration.runner import describe


def test_a_full_disk() -> None:
    code, told = describe(OSError(errno.ENOSPC, "No space left on device", "/var/lib/lmigrate/instances/x/disk0"))
    assert (code, told) == ("OSError", "No space left on device: /var/lib/lmigrate/instances/x/disk0")


def test_a_database_without_its_statement() -> None:
    code, told = describe(OperationalError("UPDATE volumes SET secret", {"secret": "hunter2"}, sqlite3.OperationalError("full")))
    assert code == "DatabaseUnavailable"
    assert told == "the database was not available (OperationalError)"


def test_ours_and_others() -> None:
    assert describe(MigrationFailed(reason="it did")) == ("MigrationFailed", "Live migration operation has failed: it did")
    assert describe(KeyError("x"))[1] == "unexpected KeyError: 'x'"
