"""What a host finds out about its way to volumes."""

from __future__ import annotations

from pathlib import Path

import pytest

from lmigrate.config import HostSettings
from lmigrate.host.connector import PROTOCOLS, find_connector, has_multipath, speaks
from lmigrate.storage.drivers.base import Connector


@pytest.fixture
def tools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A PATH of its own."""
    monkeypatch.setenv("PATH", str(tmp_path))
    return tmp_path


def put(tools: Path, name: str, script: str) -> None:
    (tools / name).write_text(f"#!/bin/sh\n{script}\n")
    (tools / name).chmod(0o755)


def test_this_machines_qemu_speaks_what_debian_builds() -> None:
    assert [protocol for protocol in (*PROTOCOLS, "no-such-protocol") if speaks(protocol)] == list(PROTOCOLS)


def test_a_driver_without_its_module_is_not_spoken(tools: Path) -> None:
    put(
        tools,
        "qemu-img",
        'case "$2" in *rbd*) echo "Unknown driver \'rbd\'" >&2;; *) echo "Need all of portal and target" >&2;; esac; exit 1',
    )
    put(tools, "multipathd", "echo 'path checker states:'")
    found = find_connector(HostSettings(name="node5"))
    assert (found.protocols, found.multipath) == (("iscsi", "nbd"), True)


def test_a_host_without_the_tools_speaks_nothing(tools: Path) -> None:
    assert not speaks("nbd")
    assert not has_multipath()


def test_multipathd_that_does_not_answer(tools: Path) -> None:
    put(tools, "multipathd", "echo 'error receiving packet'")
    assert not has_multipath()


@pytest.mark.parametrize("connector", [Connector("node5", "iqn.x:5", "10.0.0.5"), Connector("a", "b", "c", ("iscsi",), multipath=True)])
def test_it_is_read_as_it_was_written(connector: Connector) -> None:
    assert Connector.from_json(connector.to_json()) == connector


def test_an_older_daemons_is_read_too() -> None:
    assert Connector.from_json({"host": "a", "initiator": "b", "address": "c"}).protocols is None
