"""What is read from a domain's XML."""

from __future__ import annotations

from pathlib import Path

import pytest

from lmigrate.virt.xml import domain
from lmigrate.virt.xml.document import parse

GUEST = (Path(__file__).parents[2] / "golden" / "two-disks-in.xml").read_text()


@pytest.mark.parametrize(
    ("text", "mib"),
    [
        ("<memory>1048576</memory>", 1024),
        ("<memory unit='KiB'>1025</memory>", 2),
        ("<memory unit='MiB'>64</memory>", 64),
        ("<memory unit='GiB'>2</memory>", 2048),
        ("<memory unit='bytes'>1048577</memory>", 2),
        ("<memory unit='GB'>1</memory>", 954),
        ("", 0),
    ],
)
def test_memory(text: str, mib: int) -> None:
    assert domain.memory_mib(parse(f"<domain>{text}</domain>")) == mib


def test_disks() -> None:
    first, second, cdrom = domain.disks(parse(GUEST))
    assert (first.device_name, first.source_type, first.format, first.serial, first.boot_index) == ("vda", "file", "qcow2", "sn-0001", 1)
    assert first.is_local_file
    assert second.path == "/mnt/nfs/volumes/data.qcow2"
    assert (cdrom.source_type, cdrom.is_read_only, cdrom.is_local_file) == ("blank", True, False)


def test_a_network_disk_is_not_local() -> None:
    text = "<disk type='network'><source protocol='iscsi' name='iqn/1'/><target dev='vda'/></disk>"
    (disk,) = domain.disks(parse(f"<domain><devices>{text}</devices></domain>"))
    assert (disk.source_type, disk.is_local_file) == ("network", False)


def test_files() -> None:
    root = parse(GUEST)
    directory = "/srv/a/0f4c1a8e-6b0d-4f6e-9d3e-8a5b2f6d1c01"
    assert domain.auxiliary_files(root) == {"loader": "/usr/share/OVMF/OVMF_CODE_4M.fd"}
    assert domain.nvram_path(root) == f"{directory}/vars.fd"
    assert domain.character_device_files(root) == [f"{directory}/console.log", f"{directory}/second.log"]


OBSTACLES = {
    "<devices><hostdev mode='subsystem' type='pci'/></devices>": "host device",
    "<devices><interface type='hostdev'/></devices>": "passed-through",
    "<devices><filesystem type='mount'/></devices>": "virtiofs",
    "<devices><shmem name='a' role='peer'/></devices>": "ivshmem",
    "<devices><tpm><backend type='passthrough'/></tpm></devices>": "host's TPM",
    "<devices><tpm><backend type='emulator'/></tpm></devices>": "emulated TPM",
    "<launchSecurity type='sev'/>": "SEV",
    "<devices><memory model='nvdimm'/></devices>": "NVDIMM",
    "<devices><disk type='block'><source dev='/dev/a'><reservations managed='yes'/></source></disk></devices>": "reservations",
    "<devices><disk type='vhostuser'/></devices>": "vhost-user",
    "<devices><disk type='nvme'/></devices>": "NVMe",
    "<cpu mode='host-passthrough' migratable='off'/>": "migratable",
}


@pytest.mark.parametrize(("text", "word"), OBSTACLES.items(), ids=OBSTACLES.values())
def test_each_obstacle(text: str, word: str) -> None:
    (reason,) = domain.obstacles(parse(f"<domain>{text}</domain>"))
    assert word in reason


def test_all_obstacles_at_once() -> None:
    root = parse(f"<domain>{''.join(OBSTACLES)}</domain>".replace("</devices><devices>", ""))
    assert len(domain.obstacles(root)) == len(domain._OBSTACLES)


@pytest.mark.parametrize("text", [GUEST, "<domain><devices><shmem role='master'/></devices><cpu mode='host-passthrough'/></domain>"])
def test_no_obstacle(text: str) -> None:
    assert domain.obstacles(parse(text)) == []
