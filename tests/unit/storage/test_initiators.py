"""QEMU's own initiator, and os-brick behind the same interface: with a stand-in, for there is no kernel initiator here."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from lmigrate.config import HostSettings
from lmigrate.errors import StorageError
from lmigrate.storage.drivers.base import ConnectionInfo
from lmigrate.storage.initiators import Initiator, KernelInitiator, QemuInitiator, initiator_for
from lmigrate.virt.xml.domain import iscsi_name

ISCSI = ConnectionInfo("iscsi", "iqn.2026-11.x:v/1", (("10.0.0.2", 3260),), "iqn.x:node6", "lm-a", "iscsi", "S3CR3T")
PROPERTIES = {
    "target_portal": "10.0.0.2:3260",
    "target_iqn": "iqn.2026-11.x:v",
    "target_lun": 1,
    "target_discovered": False,
    "access_mode": "rw",
    "auth_method": "CHAP",
    "auth_username": "lm-a",
    "auth_password": "S3CR3T",
}


class BrickException(Exception):
    """As os_brick.exception has it."""


class StandIn:
    """os_brick.initiator.connector.InitiatorConnector, as far as it is used."""

    calls: list[tuple[Any, ...]]
    failure: Exception | None

    def __init__(self) -> None:
        self.calls, self.failure = [], None

    def factory(self, protocol: str, root_helper: str, *, use_multipath: bool) -> StandIn:
        self.calls.append((protocol, root_helper, use_multipath))
        return self

    def connect_volume(self, properties: dict[str, Any]) -> dict[str, Any]:
        self.calls.append(("connect", properties))
        if self.failure:
            raise self.failure
        return {"type": "block", "path": "/dev/disk/by-id/scsi-1", "scsi_wwn": "1"}

    def disconnect_volume(self, properties: dict[str, Any], device: None) -> None:
        self.calls.append(("disconnect", properties, device))


@pytest.fixture
def brick(monkeypatch: pytest.MonkeyPatch) -> StandIn:
    stand_in = StandIn()
    top, initiator, connector, exception = (ModuleType(name) for name in ("os_brick", "initiator", "connector", "exception"))
    vars(connector)["InitiatorConnector"] = stand_in
    vars(exception)["BrickException"] = BrickException
    vars(initiator)["connector"] = connector
    vars(top).update(initiator=initiator, exception=exception)
    names = {"os_brick": top, "os_brick.initiator": initiator, "os_brick.initiator.connector": connector, "os_brick.exception": exception}
    for name, module in names.items():
        monkeypatch.setitem(sys.modules, name, module)
    return stand_in


def test_the_kernel_gives_qemu_a_block_device(brick: StandIn) -> None:
    initiator: Initiator = KernelInitiator()
    found = initiator.connect(ISCSI)
    link = "/dev/disk/by-path/ip-10.0.0.2:3260-iscsi-iqn.2026-11.x:v-lun-1"
    assert (found.protocol, found.source_name, found.secret) == ("block", link, None)
    assert iscsi_name(link) == ISCSI.source_name
    initiator.disconnect(ISCSI)
    made = ("ISCSI", "", False)
    assert brick.calls == [made, ("connect", PROPERTIES), made, ("disconnect", PROPERTIES, None)]


@pytest.mark.parametrize("path", ["/dev/sda", "/dev/disk/by-path/pci-0000:00:1f.2-ata-1", "/var/lib/ip-1-iscsi-x-lun-1", None])
def test_any_other_path_names_no_volume(path: str | None) -> None:
    assert iscsi_name(path) is None


def test_the_setting_chooses_for_iscsi_alone() -> None:
    assert isinstance(initiator_for(ISCSI, HostSettings(volume_initiator="kernel")), KernelInitiator)
    assert isinstance(initiator_for(ConnectionInfo("rbd", "vms/a", ()), HostSettings(volume_initiator="kernel")), QemuInitiator)
    assert isinstance(initiator_for(ISCSI, HostSettings()), QemuInitiator)


def test_os_bricks_failure_is_told_without_the_password(brick: StandIn) -> None:
    brick.failure = BrickException("iscsiadm -n node.session.auth.password -v S3CR3T failed")
    with pytest.raises(StorageError, match=r"os-brick, connect_volume of iqn\.2026-11\.x:v/1: .*-v \*\*\* failed") as failure:
        KernelInitiator().connect(ISCSI)
    assert "S3CR3T" not in f"{failure.value!r}{failure.value.__cause__!r}"


def test_other_protocols_stay_qemus(brick: StandIn) -> None:
    with pytest.raises(StorageError, match="iSCSI only"):
        KernelInitiator().connect(ConnectionInfo("rbd", "vms/a", ()))


def test_a_missing_extra_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "os_brick", None)
    with pytest.raises(StorageError, match=r"pip install 'lmigrate\[brick\]'"):
        KernelInitiator().connect(ISCSI)


def test_qemu_is_given_what_the_storage_said(tmp_path: Path) -> None:
    initiator: Initiator = QemuInitiator(tmp_path)
    volume = tmp_path / "volume.raw"
    volume.write_bytes(bytes(512))
    info = ConnectionInfo("file", str(volume), ())
    assert initiator.connect(info) is info
    initiator.disconnect(info)
    volume.unlink()
    with pytest.raises(StorageError, match="cannot be opened"):
        initiator.connect(info)
