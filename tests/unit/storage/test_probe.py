"""The temporary file by which two hosts find out whether they share a directory."""

from __future__ import annotations

from pathlib import Path

import pytest

from lmigrate.storage import probe


def test_a_probe_is_seen_where_it_was_written_and_nowhere_else(tmp_path: Path) -> None:
    shared, private = tmp_path / "shared", tmp_path / "private"
    shared.mkdir()
    private.mkdir()
    assert probe.write_probes([shared, tmp_path / "absent"], "u") == [str(shared)]
    assert probe.is_seen(shared, "u")
    assert not probe.is_seen(shared, "other")
    assert not probe.is_seen(private, "u")
    assert not probe.is_seen(tmp_path / "absent", "u")


def test_nothing_is_left(tmp_path: Path) -> None:
    probe.write_probes([tmp_path], "u")
    probe.write_probes([tmp_path], "u")
    probe.remove_probes([tmp_path, tmp_path / "absent"], "u")
    probe.remove_probes([tmp_path], "u")
    assert list(tmp_path.iterdir()) == []


def test_a_file_where_a_directory_was_expected(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("a leftover")
    probe.remove_probes([tmp_path / "file", tmp_path / "file" / "below"], "u")
    assert (tmp_path / "file").read_text() == "a leftover"


def test_the_directory_is_touched_before_it_is_looked_at(tmp_path: Path) -> None:
    """An NFS client answers from its cache otherwise."""
    before = tmp_path.stat().st_mtime_ns
    probe.is_seen(tmp_path, "u")
    assert tmp_path.stat().st_mtime_ns > before


def test_a_directory_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / probe.name_for("u")).mkdir()  # as root nothing else is refused
    with pytest.raises(OSError, match="directory"):
        probe.write_probes([tmp_path], "u")
