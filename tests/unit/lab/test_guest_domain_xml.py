from __future__ import annotations

from pathlib import Path

import pytest
from lxml import etree

from lmigrate.lab.guests.domain_xml import BootFiles, domain_xml
from lmigrate.lab.guests.spec import DiskSpec, GuestSpec

UUID = "6fe3df40-7eda-4d39-9dcd-b6b3b1bc4d67"
INSTANCES = Path("/var/lib/lmigrate/instances")
ROM = BootFiles(rom=INSTANCES / "_base/tick.rom")
CASES = {
    "tick": (GuestSpec(uuid=UUID, name="plain"), ROM, "kvm"),
    "tick-bios": (
        GuestSpec(
            uuid=UUID,
            name="disks",
            firmware="bios",
            machine="pc-q35-7.2",
            cpu="<cpu mode='custom' match='exact'><model>qemu64</model></cpu>",
            disks=(DiskSpec(), DiskSpec("qcow2", 16, backing="base.img")),
            vnc_listen="10.77.1.5",
            devices_xml="<rng model='virtio'><backend model='random'>/dev/urandom</backend></rng>",
        ),
        BootFiles(),
        "tcg",
    ),
    "linux": (
        GuestSpec(uuid=UUID, kind="linux", name="linux", memory_mib=192, vcpus=2, disks=(DiskSpec("qcow2", 16),)),
        BootFiles(kernel=INSTANCES / "_base/vmlinuz", initrd=INSTANCES / "_base/initramfs", cmdline="console=ttyS0 -- 10 0 0 0 0"),
        "tcg",
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_the_domain_is_as_written_down(name: str, repository: Path) -> None:
    spec, boot, accel = CASES[name]
    golden = repository / "tests/golden/lab_guests" / f"{name}.xml"
    assert domain_xml(spec, INSTANCES / UUID, boot, accel) == golden.read_text()


def test_the_destination_does_not_truncate_the_console() -> None:
    domain = etree.fromstring(domain_xml(GuestSpec(), INSTANCES / UUID, ROM, "tcg"))
    assert domain.xpath("string(devices/serial/source/@append)") == "on"
