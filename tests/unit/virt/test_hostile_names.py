"""Whatever a host, a guest or its disks are called: it becomes no address, path, queue, element or command of its own."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from types import SimpleNamespace
from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from lmigrate.cli.render import printable
from lmigrate.config import HostSettings
from lmigrate.db.models import BlockDeviceMapping, DomainSighting
from lmigrate.host.sighting import disk_values, sighting_of
from lmigrate.ids import is_address, is_host_name
from lmigrate.migration import peer_uri
from lmigrate.migration.dispatch import Address
from lmigrate.migration.peer_uri import UnsafeAddress
from lmigrate.states import PowerState
from lmigrate.storage.disk_image import ImageUnusable, inspect_chain
from lmigrate.virt.xml.destination import DestinationChanges, destination_xml, moved_path
from lmigrate.virt.xml.document import parse
from lmigrate.virt.xml.domain import disks
from tasks.app import queue

#: what XML can hold at all: libvirt's own domains come as XML
XML_TEXT = st.text(st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"], exclude_characters="\ufffe\uffff"), max_size=600)
HOSTILE = st.one_of(
    st.text(max_size=80),
    st.sampled_from(
        [
            "node6/system?no_verify=1",
            "node6?command=sh",
            "a@b",
            "[::1]",
            "fe80::1%eth0",
            "node5.migrate",
            "../node5",
            "a b",
            "node5\n",
            "-oProxyCommand=x",
            "node6:16514",
            "$(id)",
            "`id`",
            "'; DROP TABLE hosts; --",
            "a\x00b",
            "ñode",
            "",
        ]
    ),
)
LABELS = st.from_regex(r"[A-Za-z0-9]([A-Za-z0-9-]{0,20}[A-Za-z0-9])?(\.[A-Za-z0-9]{1,8}){0,3}", fullmatch=True)


@given(st.one_of(HOSTILE, LABELS, st.ip_addresses(v=4).map(str), st.ip_addresses(v=6).map(str)))
def test_an_address_becomes_the_host_of_a_uri_and_nothing_else(text: str) -> None:
    if not is_address(text):
        with pytest.raises(UnsafeAddress):
            peer_uri.libvirt_uri("node6", text, tls=True)
        with pytest.raises(UnsafeAddress):
            peer_uri.qemu_uri("node6", text)
        return
    parts = urlsplit(peer_uri.libvirt_uri("node6", text, tls=True))
    assert (parts.scheme, parts.hostname, parts.port, parts.username, parts.path, parts.query, parts.fragment) == (
        ("qemu+tls", text.lower(), None, None, "/system", "", "")
    )
    assert urlsplit(peer_uri.qemu_uri("node6", text)).hostname == text.lower()


@pytest.mark.parametrize("address", ["node6/system?no_verify=1", "node6:16514", "[::1]", "", "a@b", "fe80::1%eth0"])
def test_an_address_that_is_none_is_a_wrong_setting(address: str) -> None:
    with pytest.raises(ValueError, match="DNS name or an IP address"):
        HostSettings(name="node5", migration_address=address)


@given(st.lists(st.one_of(HOSTILE, LABELS), min_size=2, max_size=2, unique=True))
def test_two_hosts_share_no_queue_and_no_hostile_name_has_one(names: list[str]) -> None:
    for name in names:
        if is_host_name(name):
            continue
        for wrong in (Address(name).queue, Address(name, is_storage=True).queue):
            if wrong != "conductor" and not _is_long_queue_of_another(wrong):
                with pytest.raises(ValueError, match="no such queue"):
                    queue(wrong)
    good = [name for name in names if is_host_name(name)]
    queues = [found.queue for name in good for found in (Address(name), Address(name, is_long=True), Address(name, is_storage=True))]
    assert len(set(queues)) == len(queues)
    assert all(queue(one).name == one for one in queues)


def _is_long_queue_of_another(name: str) -> bool:
    """``host.node5.migrate``, asked for as if it were that of the short steps of a host ``node5.migrate``, which there cannot be."""
    return name.startswith("host.") and name.endswith(".migrate") and is_host_name(name.removeprefix("host.").removesuffix(".migrate"))


def _domain(name: str, serial: str, path: str) -> str:
    root = etree.Element("domain")
    etree.SubElement(root, "name").text = name
    disk = etree.SubElement(etree.SubElement(root, "devices"), "disk", type="file", device="disk")
    etree.SubElement(disk, "source", file=path)
    etree.SubElement(disk, "target", dev="vda", bus="virtio")
    etree.SubElement(disk, "serial").text = serial
    return etree.tostring(root, encoding="unicode")


@given(XML_TEXT, XML_TEXT, XML_TEXT)
def test_a_guests_words_stay_words_in_the_destinations_xml(name: str, serial: str, tail: str) -> None:
    source = _domain(name, serial, f"/instances/{tail}")
    made = parse(destination_xml(source, DestinationChanges("m", "/instances", "/elsewhere", frozenset({"vda"}))))
    assert made.findtext("./name") == parse(source).findtext("./name")
    assert made.findtext("./devices/disk/serial") == parse(source).findtext("./devices/disk/serial")
    assert [child.tag for child in made] == ["name", "devices", "metadata"]
    path = str(made.find("./devices/disk/source").get("file"))  # type: ignore[union-attr]
    assert path.startswith("/elsewhere/") or path == parse(source).find("./devices/disk/source").get("file")  # type: ignore[union-attr]


@given(XML_TEXT)
def test_no_path_leaves_the_instances_directory_by_being_moved(tail: str) -> None:
    moved = moved_path(f"/instances/{tail}", "/instances", "/elsewhere")
    assert moved is None or os.path.normpath(moved).startswith("/elsewhere/")


BOMB = '<!DOCTYPE d [<!ENTITY a "x"><!ENTITY b "&a;&a;&a;"><!ENTITY c SYSTEM "file:///etc/passwd">]><domain><name>&b;&c;</name></domain>'


def test_entities_are_neither_expanded_nor_fetched() -> None:
    text = etree.tostring(parse(BOMB)).decode()
    assert "root:" not in text
    assert "xxx" not in text


@given(XML_TEXT, XML_TEXT, XML_TEXT)
def test_a_guests_words_fit_the_columns_that_keep_them(name: str, serial: str, path: str) -> None:
    found = disks(parse(_domain(name, serial, path)))
    info = SimpleNamespace(
        uuid="u", name=name, power_state=PowerState.RUNNING, reason=serial, is_persistent=True, cpu_xml=None,
        memory_mib=1, vcpus=1, virt_type="kvm", migration_mark=None, disks=found,
    )  # fmt: skip
    row = sighting_of("node5", info, datetime(2026, 1, 1, tzinfo=UTC))  # type: ignore[arg-type]
    assert len(row.name) <= DomainSighting.__table__.c.name.type.length  # type: ignore[attr-defined]
    for disk in row.description["disks"]:
        for column, value in disk_values(disk).items():
            limit = getattr(BlockDeviceMapping.__table__.c[column].type, "length", None)
            assert limit is None or value is None or len(value) <= limit


@given(st.text(max_size=200))
def test_no_name_speaks_to_a_terminal(name: str) -> None:
    shown = printable(name)
    assert shown.isprintable()
    assert len(shown) == len(name)


@pytest.mark.parametrize("path", ["nbd://192.0.2.1/x", "json:{}", "-o", "relative.qcow2", "ssh://host/x", ""])
def test_what_is_no_absolute_path_is_not_given_to_qemu_img(path: str) -> None:
    with pytest.raises(ImageUnusable, match="not an absolute path"):
        inspect_chain(path, "qcow2")
