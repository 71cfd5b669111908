"""A mount whose server is gone: what begins fails in time and leaves nothing, and the daemon starts all the same."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from lmigrate.config import HostSettings
from lmigrate.deadline import MAX_HANGING
from lmigrate.errors import DirectoryUnavailable
from lmigrate.states import MigrationStatus
from lmigrate.storage import directories
from tests.integration.cluster import Cluster


class DeadMount:
    """Whoever looks at it waits."""

    def __init__(self) -> None:
        self.directory: Path | None = None
        self.is_back = threading.Event()
        self._statvfs = os.statvfs

    def statvfs(self, path: Path) -> os.statvfs_result:
        if path == self.directory:
            self.is_back.wait(60)
        return self._statvfs(path)


@pytest.fixture
def mount(monkeypatch: pytest.MonkeyPatch) -> Iterator[DeadMount]:
    found = DeadMount()
    monkeypatch.setattr(os, "statvfs", found.statvfs)
    monkeypatch.setattr(directories, "DEADLINE_S", 0.05)
    directories._deadlines.cache_clear()
    yield found
    found.is_back.set()


@pytest.mark.parametrize("dead", ["node5", "node6"])
def test_a_migration_that_meets_it_is_undone_and_the_next_one_works(database: str, tmp_path: Path, mount: DeadMount, dead: str) -> None:
    cluster = Cluster(tmp_path, "node5", "node6")
    uuid = cluster.boot("node5")
    mount.directory = cluster.instances(dead)
    failed = cluster.migrate(uuid, "node6")
    assert failed.status is MigrationStatus.FAILED
    assert f"on {dead} does not answer" in "".join(cluster.events(failed.id))
    cluster.check()
    mount.is_back.set()
    assert cluster.migrate(uuid, "node6").status is MigrationStatus.COMPLETED


def test_looks_that_hang_do_not_add_up(tmp_path: Path, mount: DeadMount) -> None:
    host = HostSettings(name="node5", instances_path=tmp_path)
    mount.directory = tmp_path
    before = threading.active_count()
    for _ in range(3 * MAX_HANGING):
        with pytest.raises(DirectoryUnavailable, match="findmnt"):
            directories.require_answer(host)
    assert threading.active_count() <= before + MAX_HANGING
