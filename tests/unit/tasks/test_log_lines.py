"""Each line that a task logs says what it is about; with LMIGRATE_LOG__FORMAT=json it is an object with fields for it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import structlog

from lmigrate import log
from lmigrate.db.clock import utcnow
from lmigrate.db.session import writing
from lmigrate.db.stores import journal
from lmigrate.ids import new_uuid
from lmigrate.migration.steps import STEPS
from tests.factories import records

EPOCH = new_uuid()
NAMES = [step.name for step in STEPS]
OF_STEPS = {f"lmigrate.{prefix}{name}": name for name in NAMES for prefix in ("", "undo.")}
OF_MIGRATIONS = ("rollback", "decide", "rolled_back", "observe")
Line = dict[str, Any]


@pytest.fixture
def migration_id(database: str) -> int:
    """One that stands before its first step, for which there is no host; and nobody has been told."""
    with writing() as session:
        session.add_all([records.host_row("node5"), instance := records.instance_row("node5")])
        session.flush()
        session.add(migration := records.migration_row(instance, dispatched_at=utcnow() - timedelta(hours=1)))
        session.flush()
        journal.plan_attempt(session, migration, NAMES, {})
        return migration.id


@pytest.fixture
def lines(migration_id: int, repository: Path) -> list[Line]:
    """All that every task has logged."""
    own = {
        "LMIGRATE_LOG__FORMAT": "json",
        "LMIGRATE_HOST__NAME": "node5",
        "LMIGRATE_HOST_EPOCH": EPOCH,
        "LMIGRATE_BROKER__URL": "redis://127.0.0.1:1/0",  # nobody is there
    }
    argv = [sys.executable, "-m", "tests.unit.tasks.every_task", str(migration_id)]
    done = subprocess.run(argv, cwd=repository, env={**os.environ, **own}, capture_output=True, text=True, check=True, timeout=100)
    return [json.loads(line) for line in done.stderr.splitlines()]


@pytest.mark.one_database
def test_each_line_says_what_it_is_about(lines: list[Line], migration_id: int) -> None:
    told = {line["task"]: line for line in lines if line.get("attempt", line.get("round")) == 7 and "task" in line}
    assert set(told) == {*OF_STEPS, *(f"lmigrate.{name}" for name in OF_MIGRATIONS)}
    for task, line in told.items():
        assert (line["migration"], line["host"], line["epoch"]) == (migration_id, "node5", EPOCH), line
        assert line.get("step") == OF_STEPS.get(task), line
        assert {"event", "level", "timestamp", "logger"} <= set(line), line
    assert {told[f"lmigrate.{name}"].get("round") for name in ("decide", "observe")} == {7}
    # Celery's own line about a failure
    (failed,) = [line for line in lines if "NoValidHost" in line["event"] and line["logger"] == "celery.app.trace"]
    fields = ("migration", "step", "attempt", "host", "epoch")
    assert [failed[name] for name in fields] == [migration_id, "select_destination", 1, "node5", EPOCH]
    # the reconciler, which looks at many
    spoken = [line for line in lines if line["logger"] == "lmigrate.migration.reconcile"]
    assert {(line["migration"], line["host"]) for line in spoken} == {(migration_id, "node5")}
    (reconcile,) = [line for line in lines if line.get("task") == "lmigrate.reconcile"]
    assert not {"migration", "step", "attempt", "round", "side"} & set(reconcile), "a task has left something for the next one"


def test_a_thread_of_its_own_says_what_ours_would() -> None:
    seen: list[Line] = []
    with log.bound(migration=3, step="migrate"):
        thread = threading.Thread(target=log.carried(lambda: seen.append(structlog.contextvars.get_contextvars())))
    thread.start()
    thread.join()
    assert seen[0].items() >= {"migration": 3, "step": "migrate"}.items()
