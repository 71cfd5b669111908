"""qemu-nbd's processes: they outlive the storage daemon, are found again, and end with the attachment."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from lmigrate import ids
from lmigrate.clock import sleep_s
from lmigrate.errors import StorageError
from lmigrate.storage import login
from lmigrate.storage.drivers.audit import Access, Grant
from lmigrate.storage.drivers.base import VolumeRef
from lmigrate.storage.drivers.nbd import NbdDriver
from tests.conformance.storage_cases import ADDRESS, BACKEND, NbdCase, Session, connector, making

pytestmark = [pytest.mark.lab, pytest.mark.one_database]
SIZE = 4 << 20


@pytest.fixture
def case(tmp_path: Path) -> Iterator[NbdCase]:
    with making("nbd", tmp_path) as found:
        assert isinstance(found, NbdCase)
        yield found


@pytest.fixture
def volume(case: NbdCase) -> VolumeRef:
    return case.driver.create(ids.new_uuid(), SIZE)


def restarted(case: NbdCase) -> NbdDriver:
    """The driver of a storage daemon that has just started."""
    return NbdDriver(BACKEND, case.options)


@pytest.mark.parametrize(("subject", "is_let_in"), [("CN={host}", True), ("O=ours,CN={host}", False)])
def test_whose_certificate_lets_in_is_a_setting(case: NbdCase, volume: VolumeRef, subject: str, is_let_in: bool) -> None:
    driver = NbdDriver(BACKEND, case.options.model_copy(update={"client_subject": subject}))
    info = driver.grant(volume, connector("node5"), ids.new_uuid())
    assert (case.why_refused(info, "node5") is None) == is_let_in


def test_an_export_outlives_the_daemon(case: NbdCase, volume: VolumeRef) -> None:
    own = ids.new_uuid()
    info = case.grant(volume, "node5", own)
    before = case.processes()
    assert restarted(case).grant(volume, connector("node5"), own) == info
    assert case.processes() == before
    restarted(case).revoke(volume, connector("node5"), own)
    assert case.processes() == []


def test_a_killed_export_comes_back_on_its_port(case: NbdCase, volume: VolumeRef) -> None:
    own = ids.new_uuid()
    info = case.grant(volume, "node5", own)
    grant = Grant(volume, connector("node5"), own, info)
    driver = restarted(case)
    assert driver.missing([grant]) == []
    os.kill(case.processes()[0], signal.SIGKILL)
    while case.processes():  # the kernel takes a moment to end it
        sleep_s(0.01)
    assert driver.granted(volume) == frozenset()
    assert driver.missing([grant]) == [grant]
    driver.restore(grant)
    assert case.why_refused(info, "node5") is None
    assert driver.granted(volume) == {case.identity("node5")}


def test_an_export_is_restored_without_its_record(case: NbdCase, volume: VolumeRef) -> None:
    own = ids.new_uuid()
    info = case.grant(volume, "node5", own)
    case.revoke(volume, "node5", own)
    other = case.grant(volume, "node6", ids.new_uuid())
    assert other.hosts == info.hosts  # the port was free again
    moved = replace(info, hosts=((ADDRESS, info.hosts[0][1] + 1),))
    restarted(case).restore(Grant(volume, connector("node5"), own, moved))
    assert case.why_refused(moved, "node5") is None


def test_the_books_name_attachments(case: NbdCase, volume: VolumeRef) -> None:
    own = ids.new_uuid()
    case.grant(volume, "node5", own)
    entry = Access(volume.uuid, attachment_uuid=own)
    driver = restarted(case)
    assert driver.accesses([volume]) == {entry}
    driver.withdraw(entry, volume)
    driver.withdraw(entry, None)
    assert driver.accesses([volume]) == frozenset()
    assert case.processes() == []


def test_revoking_ends_the_session(case: NbdCase, volume: VolumeRef, tmp_path: Path) -> None:
    own = ids.new_uuid()
    info = case.grant(volume, "node5", own)
    with Session(case, info, "node5", tmp_path) as session:
        assert "wrote" in session.ask("write -P 0x11 0 4096")
        case.revoke(volume, "node5", own)
        assert "failed" in session.ask("read -P 0x11 0 4096")


def test_both_hosts_see_one_volume(case: NbdCase, volume: VolumeRef, tmp_path: Path) -> None:
    source, destination = case.grant(volume, "node5", ids.new_uuid()), case.grant(volume, "node6", ids.new_uuid())
    with Session(case, source, "node5", tmp_path) as here, Session(case, destination, "node6", tmp_path) as there:
        assert "wrote" in here.ask("write -P 0x22 8192 4096")
        assert "read 4096/4096" in there.ask("read -P 0x22 8192 4096")
        assert "wrote" in there.ask("write -P 0x33 8192 4096")
        assert "read 4096/4096" in here.ask("read -P 0x33 8192 4096")
    assert Path(volume.location["path"]).read_bytes()[8192:12288] == b"\x33" * 4096


def test_no_certificate_and_one_of_another_authority_are_refused(case: NbdCase, volume: VolumeRef) -> None:
    info = case.grant(volume, "node5", ids.new_uuid())
    assert login.why_refused(replace(info, is_tls=False)) is not None
    assert login.why_refused(info, case.foreign_pki) is not None
    assert login.why_refused(info, case.directory / "nothing") is not None


def test_a_host_that_was_renamed_gets_an_export_for_its_new_certificate(case: NbdCase, volume: VolumeRef) -> None:
    own = ids.new_uuid()
    info = case.grant(volume, "node5", own)
    assert case.grant(volume, "node6", own) == info
    assert case.why_refused(info, "node5") is not None
    assert case.why_refused(info, "node6") is None
    assert len(case.processes()) == 1


def test_what_qemu_nbd_says_is_told(case: NbdCase, volume: VolumeRef) -> None:
    options = case.options.model_copy(update={"pki_dir": case.directory / "no-pki"})
    with pytest.raises(StorageError, match=f"backend {BACKEND}: .*no-pki"):
        NbdDriver(BACKEND, options).grant(volume, connector("node5"), ids.new_uuid())


def test_ports_that_are_taken_are_left_alone(case: NbdCase, volume: VolumeRef) -> None:
    with socket.socket() as other:
        other.bind((ADDRESS, case.options.first_port))
        other.listen()
        info = case.grant(volume, "node5", ids.new_uuid())
        assert info.hosts == ((ADDRESS, case.options.first_port + 1),)
    full = case.options.model_copy(update={"first_port": info.hosts[0][1], "last_port": info.hosts[0][1]})
    with pytest.raises(StorageError, match="no free port"):
        NbdDriver(BACKEND, full).grant(volume, connector("node6"), ids.new_uuid())


def test_an_address_of_another_machine_is_told(case: NbdCase, volume: VolumeRef) -> None:
    options = case.options.model_copy(update={"address": "192.0.2.1"})
    with pytest.raises(StorageError, match=r"cannot listen on 192\.0\.2\.1"):
        NbdDriver(BACKEND, options).grant(volume, connector("node5"), ids.new_uuid())


@pytest.mark.parametrize("path", ["/etc/passwd", "{directory}/../secret.raw"])
def test_only_files_below_the_directory_are_served(case: NbdCase, path: str) -> None:
    volume = VolumeRef(ids.new_uuid(), {"path": path.format(directory=case.directory)})
    with pytest.raises(StorageError, match="does not lie below"):
        case.driver.grant(volume, connector("node5"), ids.new_uuid())
    with pytest.raises(StorageError, match="does not lie below"):
        case.driver.delete(volume)
