"""The comparison of before and after sees what a migration could have changed."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from lmigrate.ids import new_uuid
from lmigrate.lab.guests.guest import Guest
from lmigrate.lab.topology import Lab
from lmigrate.lab.volumes import define_secret
from lmigrate.virt.types import Secret
from tests.lab.wire import Wire
from tests.lab.world import World, assert_unchanged

pytestmark = [pytest.mark.lab, pytest.mark.one_database]


@pytest.fixture
def lab_kind() -> str:
    return "private"


@pytest.fixture
def file(lab: Lab, wire: Wire, guest: Guest) -> Iterator[Path]:
    """One of the guest's directory that no QEMU has open."""
    path = lab.host(wire.server(guest.uuid)["host"]).instances_dir / guest.uuid / "probe"
    path.write_bytes(b"before")
    yield path
    path.unlink()


def test_a_change_is_told(lab: Lab, wire: Wire, guest: Guest, file: Path) -> None:
    host = lab.host(wire.server(guest.uuid)["host"])
    secret = Secret(new_uuid(), "iscsi", "probe", "probe")
    autostart = partial(host.virsh, "autostart", guest.uuid)
    before = World.of(lab)
    for told, do, undo in (
        (f"files {(host.name, f'{guest.uuid}/probe')}", partial(file.write_bytes, b"beyond"), partial(file.write_bytes, b"before")),
        (f"domains {(host.name, guest.uuid)}", autostart, partial(autostart, "--disable")),
        (f"access secrets on {host.name}", partial(define_secret, host, secret), partial(host.virsh, "secret-undefine", secret.uuid)),
    ):
        do()
        try:
            assert told in before.difference(World.of(lab))
        finally:
            undo()
    assert_unchanged(lab, before)
