"""The destination's XML: a golden pair, and what must never change.

`pytest tests/unit/virt/test_destination_xml.py --update-golden` writes the expected file anew; read its diff.
"""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from lmigrate.virt.xml.destination import DestinationChanges, destination_xml, moved_path
from lmigrate.virt.xml.document import mark_of, parse

GOLDEN = Path(__file__).parents[2] / "golden"
CHANGES = DestinationChanges(
    migration_uuid="7f0b7c39-9f0e-4c83-a9a1-0d0d5a7c6a51",
    source_directory="/srv/a",
    destination_directory="/var/lib/b",
    copied_disks=frozenset({"vda"}),
    disk_formats={"vda": "raw"},
    graphics_listen="192.0.2.6",
)
#: what the guest can see, and what is its owner's
UNCHANGED = [
    "./name",
    "./uuid",
    "./memory",
    "./currentMemory",
    "./vcpu",
    "./os/type",
    "./os/loader",
    "./os/boot",
    "./cpu",
    "./clock",
    "./devices/emulator",
    "./devices/disk/target",
    "./devices/disk/serial",
    "./devices/disk/boot",
    "./devices/disk/readonly",
    "./devices/*/address",
    "./devices/interface",
    "./devices/*/target",
    "./metadata/{urn:example:owner:1}owner",
]


@pytest.fixture
def before() -> str:
    return (GOLDEN / "two-disks-in.xml").read_text()


def test_golden(before: str, request: pytest.FixtureRequest) -> None:
    made = destination_xml(before, CHANGES) + "\n"
    expected = GOLDEN / "two-disks-out.xml"
    if request.config.getoption("--update-golden"):
        expected.write_text(made)
    assert made == expected.read_text()


@pytest.mark.parametrize("path", UNCHANGED)
def test_what_the_guest_sees_stays(before: str, path: str) -> None:
    old, new = parse(before).findall(path), parse(destination_xml(before, CHANGES)).findall(path)
    assert old
    assert [etree.tostring(element) for element in new] == [etree.tostring(element) for element in old]


def test_a_disk_that_is_not_copied_keeps_its_chain(before: str) -> None:
    old, new = (parse(text).findall("./devices/disk")[1] for text in (before, destination_xml(before, CHANGES)))
    assert etree.tostring(new) == etree.tostring(old)


def test_graphics_stay_where_nothing_is_said(before: str) -> None:
    made = destination_xml(before, replace(CHANGES, graphics_listen=None))
    assert "192.0.2.5" in made


@pytest.mark.parametrize("device", ["serial", "console"])
@pytest.mark.parametrize(
    ("source", "host"),
    [
        ("<source mode='bind' host='192.0.2.5' service='2445'/><protocol type='telnet'/>", "192.0.2.6"),
        ("<source mode='bind' host='127.0.0.1' service='2445'/>", "127.0.0.1"),  # has no password: nobody else was to reach it
        ("<source mode='bind' host='::1' service='2445'/>", "::1"),
        ("<source mode='bind' host='0.0.0.0' service='2445'/>", "0.0.0.0"),
        ("<source mode='connect' host='192.0.2.9' service='2445'/>", "192.0.2.9"),  # a log server
        ("<source mode='bind' path='/run/socket'/>", None),
    ],
)
def test_a_serial_port_listens_on_the_destinations_address(device: str, source: str, host: str | None) -> None:
    text = f"<domain><name>a</name><devices><{device} type='tcp'>{source}</{device}></devices></domain>"
    (found,) = parse(destination_xml(text, CHANGES)).findall(f"./devices/{device}/source")
    assert found.get("host") == host
    (kept,) = parse(destination_xml(text, replace(CHANGES, graphics_listen=None))).findall(f"./devices/{device}/source")
    assert dict(kept.attrib) == dict(parse(text).findall(f"./devices/{device}/source")[0].attrib)


@pytest.mark.parametrize("copied", [set(), {"vda"}, {"vda", "vdb"}])
@pytest.mark.parametrize("graphics", [None, "192.0.2.6", "::"])
@pytest.mark.parametrize("directory", ["/var/lib/b", "/var/lib/b/", "/srv/a"])
def test_twice_is_once(before: str, copied: set[str], graphics: str | None, directory: str) -> None:
    changes = replace(CHANGES, copied_disks=frozenset(copied), graphics_listen=graphics, destination_directory=directory)
    once = destination_xml(before, changes)
    assert destination_xml(once, changes) == once


def test_a_newer_mark_replaces_the_older_one(before: str) -> None:
    twice = destination_xml(destination_xml(before, CHANGES), replace(CHANGES, migration_uuid="another"))
    assert mark_of(parse(twice)) == "another"
    assert twice.count("urn:lmigrate:domain:1") == 1


def test_a_domain_without_metadata_is_marked() -> None:
    made = parse(destination_xml("<domain><name>a</name><devices/></domain>", CHANGES))
    assert mark_of(made) == CHANGES.migration_uuid


def test_no_entity_is_resolved() -> None:
    text = '<!DOCTYPE domain [<!ENTITY secret SYSTEM "file:///etc/hostname">]><domain><name>&secret;</name></domain>'
    assert "&secret;" in destination_xml(text, CHANGES)


names = st.text("abc/.", min_size=1, max_size=12)


@given(path=names, old=names, new=names)
def test_only_what_lies_below_moves(path: str, old: str, new: str) -> None:
    moved = moved_path(path, old, new)
    path, old = os.path.normpath(path), os.path.normpath(old).rstrip("/")
    assert (moved is not None) is path.startswith(old + "/")
    if moved is not None:
        assert moved.endswith(path[len(old) :])
        assert ".." not in moved.removeprefix(new.rstrip("/")).split("/")


def test_a_path_that_leads_out_of_the_directory_does_not_lie_below_it() -> None:
    assert moved_path("/srv/a/../etc/shadow", "/srv/a", "/srv/b") is None
    assert moved_path("/srv/a/guest/../guest/disk", "/srv/a", "/srv/b") == "/srv/b/guest/disk"


def test_a_directory_that_only_begins_alike_is_another() -> None:
    assert moved_path("/srv/abc/disk", "/srv/a", "/srv/b") is None
    assert moved_path(None, "/srv/a", "/srv/b") is None
