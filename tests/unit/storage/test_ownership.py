"""What a migration made it may remove, at whatever moment it died; nothing else."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from lmigrate.errors import DestinationDiskExists
from lmigrate.storage import ownership

MINE, OTHER = "7f0b7c39-9f0e-4c83-a9a1-0d0d5a7c6a51", "aaaaaaaa-0000-4000-8000-000000000000"


class Died(BaseException):
    """The process is gone at this moment."""


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path / "guest"


@pytest.fixture
def disk(tmp_path: Path) -> Path:
    return tmp_path / "disk0"


def write(path: Path) -> None:
    path.write_text("image")


def claim_directory(directory: Path, uuid: str = MINE) -> None:
    ownership.claim_directory(directory, uuid, "node6")


def claim_file(path: Path, uuid: str = MINE, create: Callable[[Path], None] = write) -> None:
    ownership.claim_file(path, uuid, "node6", create)


def nothing_is_left(tmp_path: Path) -> bool:
    return list(tmp_path.iterdir()) == []


def dying_at(name: str, monkeypatch: pytest.MonkeyPatch, target: object) -> None:
    """The next call of ``target.name`` is the last thing that the process tries."""

    def die(*_args: object, **_kwargs: object) -> None:
        raise Died

    monkeypatch.setattr(target, name, die)


# -- directories ----------------------------------------------------------------------------------


def test_a_directory_is_claimed_once_and_removed_with_all_in_it(directory: Path, tmp_path: Path) -> None:
    claim_directory(directory)
    (directory / "disk0").write_text("image")
    (directory / "sub").mkdir()
    (directory / "link").symlink_to(tmp_path)
    claim_directory(directory)
    assert (directory / "disk0").exists()
    assert ownership.is_own_directory(directory, MINE)
    assert ownership.remove_directory(directory, MINE)
    assert nothing_is_left(tmp_path)
    assert not ownership.remove_directory(directory, MINE)


@pytest.mark.parametrize("content", [None, OTHER, ""])
def test_somebody_elses_directory_is_not_touched(directory: Path, content: str | None) -> None:
    directory.mkdir()
    if content is not None:
        (directory / ownership.MARKER).write_text(content)
    before = sorted(directory.iterdir())
    with pytest.raises(DestinationDiskExists, match=str(directory)):
        claim_directory(directory)
    assert not ownership.remove_directory(directory, MINE)
    ownership.release_directory(directory, MINE)
    assert sorted(directory.iterdir()) == before
    assert [path.name for path in directory.parent.iterdir()] == ["guest"]


def test_a_released_directory_belongs_to_the_guest(directory: Path) -> None:
    claim_directory(directory)
    ownership.release_directory(directory, MINE)
    ownership.release_directory(directory, MINE)
    assert list(directory.iterdir()) == []
    assert not ownership.remove_directory(directory, MINE)
    assert directory.is_dir()


@pytest.mark.parametrize("step", ["write_text", "exists", "rename"])
def test_death_while_a_directory_is_claimed(directory: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str) -> None:
    with monkeypatch.context() as patch:
        dying_at(step, patch, Path)
        with pytest.raises(Died):
            claim_directory(directory)
    claim_directory(directory)  # a second run completes it
    assert ownership.is_own_directory(directory, MINE)
    with monkeypatch.context() as patch:
        dying_at(step, patch, Path)
        with pytest.raises(Died):
            claim_directory(tmp_path / "second")
    assert not (tmp_path / "second").exists()
    ownership.remove_directory(tmp_path / "second", MINE)  # and undo removes what there is
    ownership.remove_directory(directory, MINE)
    assert nothing_is_left(tmp_path)


@pytest.mark.parametrize("survived", range(5))
def test_death_while_a_directory_is_removed(directory: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, survived: int) -> None:
    """However many removals it survives: the last ones are that of the marker and of the directory itself."""
    claim_directory(directory)
    for name in ("disk0", "disk1", "console.log"):
        (directory / name).write_text("")
    removals = iter(range(100))

    def counted(remove: Callable[..., None]) -> Callable[..., None]:
        def call(*args: object, **kwargs: object) -> None:
            if next(removals) == survived:
                raise Died
            remove(*args, **kwargs)

        return call

    with monkeypatch.context() as patch:
        patch.setattr(os, "unlink", counted(os.unlink))
        patch.setattr(os, "rmdir", counted(os.rmdir))
        with pytest.raises(Died):
            ownership.remove_directory(directory, MINE)
    ownership.remove_directory(directory, MINE)
    assert nothing_is_left(tmp_path)


def test_what_an_interrupted_removal_left_does_not_come_back(directory: Path) -> None:
    claim_directory(directory)
    (directory / "disk0").write_text("old")
    directory.rename(directory.with_name(f".{directory.name}.lmigrate-{MINE}"))
    claim_directory(directory)
    assert [path.name for path in directory.iterdir()] == [ownership.MARKER]


# -- files ----------------------------------------------------------------------------------------


def test_a_file_is_claimed_once_and_removed(disk: Path, tmp_path: Path) -> None:
    made: list[Path] = []

    def create(path: Path) -> None:
        made.append(path)
        write(path)

    claim_file(disk, create=create)
    claim_file(disk, create=create)
    assert len(made) == 1
    assert disk.read_text() == "image"
    assert ownership.remove_file(disk, MINE)
    assert nothing_is_left(tmp_path)
    assert not ownership.remove_file(disk, MINE)


def test_somebody_elses_file_is_not_touched(disk: Path) -> None:
    disk.write_text("precious")
    with pytest.raises(DestinationDiskExists, match=str(disk)):
        claim_file(disk)
    assert not ownership.remove_file(disk, MINE)
    assert disk.read_text() == "precious"
    assert [path.name for path in disk.parent.iterdir()] == ["disk0"]


def test_two_migrations_want_the_same_name(disk: Path) -> None:
    claim_file(disk)
    with pytest.raises(DestinationDiskExists):
        claim_file(disk, OTHER)
    assert not ownership.remove_file(disk, OTHER)
    assert ownership.remove_file(disk, MINE)


def test_the_name_is_taken_between_the_look_and_the_link(disk: Path, tmp_path: Path) -> None:
    def create(path: Path) -> None:
        write(path)
        disk.write_text("precious")

    with pytest.raises(DestinationDiskExists):
        claim_file(disk, create=create)
    assert [path.name for path in tmp_path.iterdir()] == ["disk0"]
    assert disk.read_text() == "precious"


def test_a_released_file_belongs_to_the_guest(disk: Path) -> None:
    claim_file(disk)
    ownership.release_file(disk, MINE)
    ownership.release_file(disk, MINE)
    assert not ownership.remove_file(disk, MINE)
    assert [path.name for path in disk.parent.iterdir()] == ["disk0"]


def test_a_file_that_was_replaced_is_not_ours_any_more(disk: Path) -> None:
    claim_file(disk)
    disk.unlink()
    disk.write_text("precious")
    assert not ownership.remove_file(disk, MINE)
    assert disk.read_text() == "precious"


@pytest.mark.parametrize("moment", ["created", "half created", "linked"])
def test_death_while_a_file_is_claimed(disk: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moment: str) -> None:
    def half_create(path: Path) -> None:
        path.write_text("ima")
        raise Died

    def die() -> None:
        with monkeypatch.context() as patch:
            if moment == "created":
                dying_at("link", patch, os)
            with suppress(Died):
                claim_file(disk, create=half_create if moment == "half created" else write)

    die()
    claim_file(disk)  # a second run completes it
    assert disk.read_text() == "image"
    assert ownership.remove_file(disk, MINE)
    die()
    ownership.remove_file(disk, MINE)  # undo removes what there is
    assert nothing_is_left(tmp_path)
