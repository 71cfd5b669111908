"""The destination's disk fills up at each stage: the guest never notices, and nothing is left when there is room again."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from lmigrate.migration.dispatch import StepMessage
from lmigrate.states import MigrationStatus
from tests.integration.cluster import Cluster
from tests.integration.mail import Message

pytestmark = pytest.mark.lab  # no lab, but a file system of its own, which only root can mount


@contextmanager
def small(path: Path) -> Iterator[None]:
    """A file system that is soon full, of data and of names."""
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m,nr_inodes=20", "tmpfs", str(path)], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", str(path)], check=True)


def fill(path: Path) -> None:
    """Until nothing more can be written, and nothing more be made."""
    subprocess.run(["dd", "if=/dev/zero", f"of={path}/filler", "bs=64k"], capture_output=True, check=False)
    subprocess.run(["sh", "-c", f"i=0; while touch {path}/filler$i 2>/dev/null; do i=$((i+1)); done"], check=True)


def names(path: Path) -> set[str]:
    return {found.name for found in path.rglob("*") if not found.name.startswith("filler")}


@pytest.mark.parametrize("step", ["check_destination", "pre_live_migration", "migrate"])
def test_a_full_disk_is_told_and_undone(database: str, tmp_path: Path, step: str) -> None:
    cluster = Cluster(tmp_path, "node5", "node6")
    uuid, directory = cluster.boot("node5"), cluster.instances("node6")
    with small(directory):

        def work(message: Message) -> str:
            if isinstance(message, StepMessage) and message.step == step:
                fill(directory)
            return cluster.work(message)

        migration_id = cluster.request(uuid, "node6")
        cluster.mail.deliver_all(work)
        migration = cluster.migration(migration_id)
        assert migration.status is MigrationStatus.FAILED
        assert "No space left on device" in str(migration.error)
        assert names(directory) == set()
        for filler in directory.iterdir():
            filler.unlink()
        assert cluster.instance(uuid).host == "node5"
        cluster.check_moved(cluster.migrate(uuid, "node6"), "node5", "node6")
