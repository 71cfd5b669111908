"""What every storage driver keeps, asked of the real thing where it can run here.

Cinder is a fake that speaks HTTP. RBD is asked twice: a real cluster, and the fake commands of the unit tests.
The storage in memory is that of the tests of crashes.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from lmigrate import ids
from lmigrate.errors import StorageError
from lmigrate.storage.drivers.audit import Access, Auditable, Grant, Locating
from lmigrate.storage.drivers.base import VolumeRef
from tests.conformance.storage_cases import BACKEND, Case, Session, connector, is_installed, making

SIZE = 8 << 20
#: what can be asked of which: hosts are told apart · passwords · what it exports can be opened from here
EVERY = {"iscsi-tgt", "nbd", "shared-directory", "local", "rbd", "rbd in memory", "cinder", "san in memory"}
TELLS_HOSTS_APART = EVERY - {"shared-directory", "local"}
HAS_PASSWORDS = TELLS_HOSTS_APART - {"nbd"}
CAN_BE_OPENED = EVERY - {"rbd in memory", "cinder", "san in memory"}
HAS_BOOKS = TELLS_HOSTS_APART - {"cinder", "san in memory"}  # of their own, which can be compared with the records
NEEDS_LAB = {"iscsi-tgt", "nbd", "rbd"}


def backends(kinds: set[str]) -> pytest.MarkDecorator:
    parameters = [
        pytest.param(kind, marks=[pytest.mark.lab, pytest.mark.one_database] if kind in NEEDS_LAB else []) for kind in sorted(kinds)
    ]
    return pytest.mark.parametrize("case", parameters, indirect=True)


@pytest.fixture
def case(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Case]:
    if not is_installed(request.param):
        pytest.fail(f"the programs of {request.param} are not installed: run `make deps`", pytrace=False)
    with making(request.param, tmp_path, lambda: request.getfixturevalue("ceph_cluster")) as found:
        yield found


@pytest.fixture
def volume(case: Case) -> VolumeRef:
    return case.driver.create(ids.new_uuid(), SIZE)


def attachment() -> str:
    return ids.new_uuid()


@backends(EVERY)
def test_a_new_volume_has_its_size_and_lets_nobody_in(case: Case, volume: VolumeRef) -> None:
    assert case.driver.size_bytes(volume) >= SIZE
    assert case.driver.granted(volume) == frozenset()
    assert case.driver.source_name(volume) == case.driver.source_name(volume) != ""


@backends(EVERY - {"nbd"})
def test_a_volume_is_found_by_its_name(case: Case, volume: VolumeRef) -> None:
    assert isinstance(case.driver, Locating)
    name = case.driver.source_name(volume)
    found = VolumeRef(volume.uuid, case.driver.locate(name))
    assert case.driver.size_bytes(found) == case.driver.size_bytes(volume)
    assert case.driver.source_name(found) == name


@backends(CAN_BE_OPENED)
def test_a_granted_host_comes_in(case: Case, volume: VolumeRef) -> None:
    info = case.grant(volume, "node5", attachment())
    assert case.why_refused(info, "node5") is None
    assert info.source_name == case.driver.source_name(volume)


@backends(TELLS_HOSTS_APART)
def test_granted_tells_who_is_let_in(case: Case, volume: VolumeRef) -> None:
    first = attachment()
    case.grant(volume, "node5", first)
    case.grant(volume, "node6", attachment())
    assert case.driver.granted(volume) == {case.identity("node5"), case.identity("node6")}
    case.revoke(volume, "node5", first)
    assert case.driver.granted(volume) == {case.identity("node6")}


@backends(EVERY)
def test_granting_twice_is_once(case: Case, volume: VolumeRef) -> None:
    own = attachment()
    case.grant(volume, "node5", own)
    again = case.grant(volume, "node5", own)
    assert not case.is_real or case.why_refused(again, "node5") is None
    case.revoke(volume, "node5", own)
    assert case.driver.granted(volume) == frozenset()


@backends(TELLS_HOSTS_APART & CAN_BE_OPENED)
def test_a_revoked_host_stays_out(case: Case, volume: VolumeRef) -> None:
    own = attachment()
    info = case.grant(volume, "node5", own)
    case.revoke(volume, "node5", own)
    assert case.why_refused(info, "node5") is not None


@backends(EVERY)
def test_revoking_twice_is_once(case: Case, volume: VolumeRef) -> None:
    own = attachment()
    case.grant(volume, "node5", own)
    case.revoke(volume, "node5", own)
    case.revoke(volume, "node5", own)
    assert case.driver.granted(volume) == frozenset()


@backends(EVERY)
def test_revoking_what_was_never_granted_is_fine(case: Case, volume: VolumeRef) -> None:
    case.grant(volume, "node5", attachment())
    case.revoke(volume, "stranger", attachment())
    assert len(case.driver.granted(volume)) == case.has_access_control


@backends(EVERY)
def test_revoking_an_absent_volume_is_fine(case: Case) -> None:
    case.revoke(case.absent(), "node5", attachment())
    assert case.driver.granted(case.absent()) == frozenset()


@backends(EVERY)
def test_deleting_twice_is_once_and_then_there_is_none(case: Case, volume: VolumeRef) -> None:
    own = attachment()
    case.grant(volume, "node5", own)
    case.revoke(volume, "node5", own)
    case.driver.delete(volume)
    case.driver.delete(volume)
    with pytest.raises(StorageError, match=BACKEND):
        case.driver.size_bytes(volume)


@backends(CAN_BE_OPENED)
def test_a_uuid_is_used_once(case: Case, volume: VolumeRef) -> None:
    with pytest.raises(StorageError, match=BACKEND):
        case.driver.create(volume.uuid, SIZE)
    assert case.driver.size_bytes(volume) == SIZE


@backends((TELLS_HOSTS_APART & CAN_BE_OPENED) - {"rbd"})  # Ceph asks for the key only
def test_a_foreign_host_is_refused(case: Case, volume: VolumeRef) -> None:
    info = case.grant(volume, "node5", attachment())
    assert case.why_refused(case.stolen(info, "stranger"), "stranger") is not None


@backends(HAS_PASSWORDS & CAN_BE_OPENED)
def test_a_wrong_password_is_refused_and_none_is_told(case: Case, volume: VolumeRef) -> None:
    info = case.grant(volume, "node5", attachment())
    reason = case.why_refused(replace(info, secret="wrong-but-long-enough"), "node5")
    assert reason is not None
    assert "wrong-but-long-enough" not in reason
    assert case.why_refused(replace(info, secret=None, auth_username=None), "node5") is not None


@backends(TELLS_HOSTS_APART)
def test_each_attachment_has_its_own_way_in(case: Case, volume: VolumeRef) -> None:
    first, second = case.grant(volume, "node5", attachment()), case.grant(volume, "node6", attachment())
    assert (first.hosts, first.auth_username, first.secret) != (second.hosts, second.auth_username, second.secret)
    if case.has_secrets:
        assert first.secret
        assert first.secret != second.secret
        assert first.auth_username != second.auth_username
        assert first.secret not in repr(first)


@backends(TELLS_HOSTS_APART & CAN_BE_OPENED)
def test_a_session_outlives_the_revocation_of_another(case: Case, volume: VolumeRef, tmp_path: Path) -> None:
    """As at the end of a move: the source is shut out, the destination's QEMU goes on."""
    source = attachment()
    case.grant(volume, "node5", source)
    info = case.grant(volume, "node6", attachment())
    with Session(case, info, "node6", tmp_path) as session:
        assert "wrote" in session.ask("write -P 0x5a 0 4096")
        case.revoke(volume, "node5", source)
        assert "read 4096/4096" in session.ask("read -P 0x5a 0 4096")


def accesses_to(driver: Auditable, volume: VolumeRef) -> set[Access]:
    """Without what other tests have left on a storage that they share."""
    return {entry for entry in driver.accesses([volume]) if entry.volume_uuid == volume.uuid}


@backends(HAS_BOOKS)
def test_what_nobody_needs_is_found_and_withdrawn(case: Case, volume: VolumeRef) -> None:
    assert isinstance(case.driver, Auditable)
    info = case.grant(volume, "node5", attachment())
    entries = accesses_to(case.driver, volume)
    assert entries
    for entry in entries:
        case.driver.withdraw(entry, volume)
        case.driver.withdraw(entry, volume)
    assert accesses_to(case.driver, volume) == set()
    assert case.driver.granted(volume) == frozenset()
    assert not case.is_real or case.why_refused(info, "node5") is not None


@backends(HAS_BOOKS)
def test_what_the_storage_forgot_is_given_once_more_with_the_same_password(case: Case, volume: VolumeRef) -> None:
    assert isinstance(case.driver, Auditable)
    own = attachment()
    grant = Grant(volume, connector("node5"), own, case.grant(volume, "node5", own))
    assert case.driver.missing([grant]) == []
    for entry in accesses_to(case.driver, volume):
        case.driver.withdraw(entry, volume)
    assert case.driver.missing([grant]) == [grant]
    case.driver.restore(grant)
    case.driver.restore(grant)
    assert case.driver.missing([grant]) == []
    assert not case.is_real or case.why_refused(grant.info, "node5") is None


@backends(EVERY)
def test_storage_that_is_away_is_an_error_that_names_it(case: Case, volume: VolumeRef) -> None:
    case.go_away()
    with pytest.raises(StorageError, match=f"backend {BACKEND}\\b"):
        case.driver.create(ids.new_uuid(), SIZE)
    with pytest.raises(StorageError, match=f"backend {BACKEND}\\b"):
        case.grant(volume, "node5", attachment()) if case.has_access_control else case.driver.size_bytes(volume)


@backends({"iscsi-tgt"})
def test_a_password_is_in_no_error(case: Case, volume: VolumeRef, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """tgtadm fails exactly when it is given the password, and says what it was given."""
    real = subprocess.run(["which", "tgtadm"], capture_output=True, text=True, check=True).stdout.strip()
    program, seen = tmp_path / "bin/tgtadm", tmp_path / "seen"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\ncase "$*" in *--password*) echo "$*" >{seen}; echo broken >&2; exit 22;; esac\nexec {real} "$@"\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    with pytest.raises(StorageError) as failure:
        case.grant(volume, "node5", attachment())
    password = seen.read_text().split("--password ")[1].split()[0]
    texts = [str(failure.value), repr(failure.value), str(failure.value.fields), str(failure.value.__cause__)]
    assert "broken" in texts[0]
    assert all(password not in text for text in texts)


def test_connectors_are_kept_as_json() -> None:
    kept = connector("node5").to_json()
    assert type(connector("node5")).from_json(kept) == connector("node5")
