"""A volume's <disk> on the destination: golden input and output, kept beside each other."""

from __future__ import annotations

from pathlib import Path

import pytest
from lxml import etree

from lmigrate.virt.types import Secret
from lmigrate.virt.xml.volume import VolumeSource, secret_xml, update_volume

DESTINATION = "22222222-2222-5222-8222-222222222222"
_ISCSI = VolumeSource(
    protocol="iscsi",
    name="iqn.2026-11.org.lmigrate:vol/1",
    hosts=(("10.0.0.3", 3261),),
    initiator="iqn.2026-11.org.lmigrate.host:node6",
    auth_username="lm-destination",
    auth_type="iscsi",
    secret_uuid=DESTINATION,
)
_RBD = VolumeSource(
    protocol="rbd",
    name="vms/3f2a9b7c",
    hosts=(("10.0.0.11", 6789), ("10.0.0.12", 6789)),
    auth_username="lm-destination",
    auth_type="ceph",
    secret_uuid=DESTINATION,
)
SOURCES = {
    "iscsi": _ISCSI,
    "iscsi-old-auth": _ISCSI,  # <auth> beside <source>, as older libvirt wrote it
    "nbd-tls": VolumeSource(protocol="nbd", name="3f2a9b7c", hosts=(("10.0.0.2", 10811),), is_tls=True),
    "rbd": _RBD,
    "kernel": VolumeSource(protocol="block", name="/dev/disk/by-path/ip-10.0.0.3:3261-iscsi-iqn.2026-11.org.lmigrate:vol-lun-1", hosts=()),
    "file": VolumeSource(protocol="file", name="/srv/volumes/3f2a9b7c.qcow2", hosts=()),
}


@pytest.fixture
def golden(repository: Path) -> Path:
    return repository / "tests/golden/volume_disks"


@pytest.mark.parametrize("name", SOURCES)
def test_only_the_hosts_part_changes(golden: Path, name: str) -> None:
    disk = etree.fromstring((golden / f"{name}.before.xml").read_bytes())
    update_volume(disk, SOURCES[name])
    assert etree.tostring(disk, encoding="unicode") + "\n" == (golden / f"{name}.after.xml").read_text()


@pytest.mark.parametrize("name", SOURCES)
def test_twice_is_once(golden: Path, name: str) -> None:
    disk = etree.fromstring((golden / f"{name}.after.xml").read_bytes())
    update_volume(disk, SOURCES[name])
    assert etree.tostring(disk, encoding="unicode") + "\n" == (golden / f"{name}.after.xml").read_text()


def test_all_golden_pairs_are_used(golden: Path) -> None:
    assert {path.name.split(".")[0] for path in golden.iterdir()} == set(SOURCES)


def test_a_network_disk_can_become_a_file_and_back(golden: Path) -> None:
    disk = etree.fromstring((golden / "iscsi.before.xml").read_bytes())
    update_volume(disk, SOURCES["file"])
    assert disk.get("type") == "file"
    update_volume(disk, SOURCES["nbd-tls"])
    assert disk.get("type") == "network"


@pytest.mark.parametrize(("kind", "usage"), [("iscsi", "<target>lmigrate-x</target>"), ("ceph", "<name>lmigrate-x</name>")])
def test_secrets_are_ephemeral_and_private_and_hold_no_value(kind: str, usage: str) -> None:
    xml = secret_xml(Secret(DESTINATION, kind, "lmigrate-x", "S3CR3T=="))
    assert xml == f'<secret ephemeral="yes" private="yes"><uuid>{DESTINATION}</uuid><usage type="{kind}">{usage}</usage></secret>'
    assert "S3CR3T" not in repr(Secret(DESTINATION, kind, "lmigrate-x", "S3CR3T=="))


def test_a_ceph_key_is_kept_as_the_bytes_that_it_stands_for() -> None:
    assert Secret(DESTINATION, "ceph", "x", "AQB8//4=").payload == b"\x01\x00\x7c\xff\xfe"
    assert Secret(DESTINATION, "iscsi", "x", "AQB8//4=").payload == b"AQB8//4="
