"""A volume's <disk> on the destination: golden pairs, and what must never change."""

from __future__ import annotations

from pathlib import Path

import pytest
from lxml import etree

from lmigrate.virt.types import Secret
from lmigrate.virt.xml.destination import DestinationChanges, destination_xml
from lmigrate.virt.xml.volume import VolumeSource, secret_xml

CHAP = VolumeSource(
    protocol="iscsi",
    name="iqn.2026-11.org.lmigrate:v1/1",
    hosts=(("10.0.0.6", 3261),),
    initiator="iqn.2026-11.org.lmigrate.host:node6",
    auth_username="lm-of-node6",
    auth_type="iscsi",
    secret_uuid="33333333-3333-4333-8333-333333333333",
)
OPEN = VolumeSource(protocol="iscsi", name=CHAP.name, hosts=(("fd00::6", 3260), ("fd00::7", 3260)), initiator=CHAP.initiator)
CASES = {"chap": CHAP, "chap-beside-source": CHAP, "encrypted": CHAP, "no-chap": OPEN, "neighbours": CHAP}


def rewritten(xml: str, source: VolumeSource) -> str:
    changes = DestinationChanges("m", "/var/lib/lmigrate/instances", "/var/lib/lmigrate/instances", volumes={"vdb": source})
    return destination_xml(xml, changes)


def given(repository: Path, name: str) -> str:
    return (repository / f"tests/golden/volumes/iscsi-{name}-in.xml").read_text()


@pytest.mark.parametrize("name", CASES)
def test_the_disk_is_as_written_down(repository: Path, name: str) -> None:
    golden = repository / f"tests/golden/volumes/iscsi-{name}-out.xml"
    assert rewritten(given(repository, name), CASES[name]) == golden.read_text().rstrip("\n")


@pytest.mark.parametrize("name", CASES)
def test_twice_is_once(repository: Path, name: str) -> None:
    once = rewritten(given(repository, name), CASES[name])
    assert rewritten(once, CASES[name]) == once


@pytest.mark.parametrize("name", CASES)
def test_everything_but_the_way_to_the_volume_stays(repository: Path, name: str) -> None:
    before = given(repository, name)
    assert bare(rewritten(before, CASES[name])) == bare(before)


def bare(xml: str) -> str:
    """A domain without our mark, and without what says how vdb is reached."""
    root = etree.fromstring(xml, etree.XMLParser(remove_blank_text=True))
    for metadata in root.findall("./metadata"):
        root.remove(metadata)
    for disk in root.xpath("./devices/disk[target/@dev='vdb']"):
        for element in disk.xpath("./auth | ./source/host | ./source/initiator | ./source/auth"):
            element.getparent().remove(element)
        disk.find("./source").attrib.pop("index", None)
    return etree.tostring(root, method="c14n").decode()


def test_a_secrets_definition_says_nothing_of_its_value() -> None:
    xml = secret_xml(Secret("33333333-3333-4333-8333-333333333333", "iscsi", "lmigrate-a", "chap-secret"))
    root = etree.fromstring(xml)
    assert (root.get("ephemeral"), root.get("private")) == ("yes", "yes")
    assert root.findtext("./usage/target") == "lmigrate-a"
    assert "chap-secret" not in xml
    assert "chap-secret" not in repr(Secret("u", "iscsi", "n", "chap-secret"))
