"""A config drive is fetched whole, or not at all."""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import cast

import pytest

from lmigrate.config import HostSettings, MigrationSettings, Settings
from lmigrate.errors import DestinationDiskExists, HypervisorUnavailable, MigrationAborted, MigrationPreCheckError
from lmigrate.migration.media import fetch_medium, libvirt_uri
from lmigrate.migration.migrate_data import Medium
from lmigrate.migration.steps.base import StepContext
from lmigrate.storage import ownership
from lmigrate.virt.protocol import Hypervisor
from tests.factories.records import host_row, instance_row, migration_row
from tests.unit.volumes.conftest import Save

CONTENT = bytes(range(256)) * 16


class Neighbour:
    """Another host's libvirtd, which may go away in the middle."""

    def __init__(self) -> None:
        self.content = CONTENT
        self.dies_after: int | None = None
        self.asked: list[tuple[str, str]] = []

    def read_disk(self, uri: str, uuid: str, device_name: str, size_bytes: int) -> Iterator[bytes]:
        self.asked.append((uri, device_name))
        for offset in range(0, size_bytes, 1024):
            if self.dies_after is not None and offset >= self.dies_after:
                raise HypervisorUnavailable(host=uri, reason=f"gone while reading {uuid}")
            yield self.content[offset : offset + 1024]


@pytest.fixture
def neighbour() -> Neighbour:
    return Neighbour()


@pytest.fixture
def context(save: Save, neighbour: Neighbour) -> StepContext:
    instance = instance_row("node5")
    migration = migration_row(instance, dest_host="node6")
    save(host_row("node5", migration_address="fd00::5"), instance, migration)
    settings = Settings(host=HostSettings(name="node6"), migration=MigrationSettings(tls=True))
    return StepContext(
        migration, instance, settings, {}, lambda _: None, lambda: False, lambda: None, lambda: cast("Hypervisor", neighbour), "node6"
    )


def medium() -> Medium:
    digest = sha256(CONTENT).hexdigest()
    return Medium(device_name="sda", path="/there/disk.config", size_bytes=len(CONTENT), mode=0o640, sha256=digest)


def test_it_arrives_with_content_and_permissions(context: StepContext, neighbour: Neighbour, tmp_path: Path) -> None:
    path = tmp_path / "guest" / "disk.config"
    for _ in range(2):  # twice is once
        fetch_medium(context, medium(), path)
        assert path.read_bytes() == CONTENT
        assert path.stat().st_mode & 0o777 == 0o640
    assert neighbour.asked == [("qemu+tls://[fd00::5]/system", "sda")]
    assert ownership.remove_file(path, context.uuid)
    assert list(path.parent.iterdir()) == []


def test_half_of_it_is_nothing(context: StepContext, neighbour: Neighbour, tmp_path: Path) -> None:
    path = tmp_path / "disk.config"
    neighbour.dies_after = 2048
    with pytest.raises(HypervisorUnavailable):
        fetch_medium(context, medium(), path)
    assert not path.exists()
    neighbour.dies_after = None
    fetch_medium(context, medium(), path)
    assert path.read_bytes() == CONTENT


def test_undo_removes_the_half_too(context: StepContext, neighbour: Neighbour, tmp_path: Path) -> None:
    path = tmp_path / "disk.config"
    neighbour.dies_after = 2048
    with pytest.raises(HypervisorUnavailable):
        fetch_medium(context, medium(), path)
    ownership.remove_file(path, context.uuid)
    assert list(tmp_path.iterdir()) == []


def test_another_content_is_refused(context: StepContext, neighbour: Neighbour, tmp_path: Path) -> None:
    neighbour.content = CONTENT[::-1]
    with pytest.raises(MigrationPreCheckError, match="changed while it was fetched"):
        fetch_medium(context, medium(), tmp_path / "disk.config")
    assert not (tmp_path / "disk.config").exists()


def test_a_file_of_somebody_else_is_left_alone(context: StepContext, tmp_path: Path) -> None:
    (tmp_path / "disk.config").write_text("mine")
    with pytest.raises(DestinationDiskExists):
        fetch_medium(context, medium(), tmp_path / "disk.config")
    assert (tmp_path / "disk.config").read_text() == "mine"


def test_an_abort_ends_the_fetching(context: StepContext, tmp_path: Path) -> None:
    aborted = StepContext(**{**context.__dict__, "is_abort_requested": lambda: True})
    with pytest.raises(MigrationAborted):
        fetch_medium(aborted, medium(), tmp_path / "disk.config")


def test_without_tls_it_is_plain_tcp(context: StepContext) -> None:
    plain = Settings(migration=MigrationSettings(tls=False))
    assert libvirt_uri(StepContext(**{**context.__dict__, "settings": plain}), "node5") == "qemu+tcp://[fd00::5]/system"
