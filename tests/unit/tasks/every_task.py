"""Runs each task that is about a migration in a process that logs as a worker does: `-m tests.unit.tasks.every_task ID`."""

from __future__ import annotations

import sys
from inspect import signature

from lmigrate import log
from lmigrate.config import settings
from tasks.app import app


def main(migration_id: int) -> None:
    """All find nothing to do, since they are of another attempt; the last two do."""
    log.configure(settings().log)
    app.loader.import_default_modules()
    known = {"migration_id": migration_id, "attempt": 7, "round_number": 7, "side": "source"}
    for name, task in sorted(app.tasks.items()):
        wanted = {key: value for key, value in known.items() if key in signature(task.run).parameters}
        if name.startswith("lmigrate.") and "migration_id" in wanted:
            task.apply(kwargs=wanted)
    app.tasks["lmigrate.select_destination"].apply((migration_id, 1))
    app.tasks["lmigrate.reconcile"].apply()


if __name__ == "__main__":
    main(int(sys.argv[1]))
