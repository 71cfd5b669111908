"""What is peculiar to tgtd: it forgets everything when it is restarted, and a hole in its accounts kills it."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from lmigrate import ids
from lmigrate.errors import StorageError
from lmigrate.storage.drivers.audit import Grant
from lmigrate.storage.drivers.base import VolumeRef
from lmigrate.storage.drivers.iscsi_tgt import IscsiTgtDriver
from lmigrate.storage.drivers.tgtadm import Tgtadm
from tests.conformance.storage_cases import BACKEND, TgtCase, connector, making

pytestmark = [pytest.mark.lab, pytest.mark.one_database]
SIZE = 4 << 20


@pytest.fixture
def case(tmp_path: Path) -> Iterator[TgtCase]:
    with making("iscsi-tgt", tmp_path) as found:
        assert isinstance(found, TgtCase)
        yield found


@pytest.fixture
def volume(case: TgtCase) -> VolumeRef:
    return case.driver.create(ids.new_uuid(), SIZE)


def test_without_chap_and_with_targets_of_another_name(case: TgtCase) -> None:
    options = case.options.model_copy(update={"chap": False, "iqn_prefix": "iqn.2026-11.org.example.san"})
    driver = IscsiTgtDriver(BACKEND, options)
    volume = driver.create(ids.new_uuid(), SIZE)
    assert volume.location["iqn"] == f"iqn.2026-11.org.example.san:{volume.uuid}"
    info = driver.grant(volume, connector("node5"), ids.new_uuid())
    assert (info.auth_username, info.secret) == (None, None)
    assert case.why_refused(info, "node5") is None
    assert case.why_refused(case.stolen(info, "stranger"), "stranger") is not None


def test_after_a_restart_granting_makes_the_target_again(case: TgtCase, volume: VolumeRef) -> None:
    own = ids.new_uuid()
    case.grant(volume, "node5", own)
    Path(volume.location["path"]).write_bytes(b"\x5a" * SIZE)
    case.stop()
    case.start()
    assert case.driver.granted(volume) == frozenset()
    info = case.grant(volume, "node5", own)
    assert case.why_refused(info, "node5") is None
    assert case.driver.granted(volume) == {connector("node5").initiator}
    assert Path(volume.location["path"]).read_bytes() == b"\x5a" * SIZE


def test_after_a_restart_revoking_and_deleting_are_fine(case: TgtCase, volume: VolumeRef) -> None:
    own = ids.new_uuid()
    case.grant(volume, "node5", own)
    case.stop()
    case.start()
    case.revoke(volume, "node5", own)
    case.driver.delete(volume)
    assert not Path(volume.location["path"]).exists()


def test_nothing_is_made_for_a_volume_whose_file_is_gone(case: TgtCase, volume: VolumeRef) -> None:
    own = ids.new_uuid()
    grant = Grant(volume, connector("node5"), own, case.grant(volume, "node5", own))
    case.stop()
    case.start()
    Path(volume.location["path"]).unlink()
    assert isinstance(case.driver, IscsiTgtDriver)
    with pytest.raises(StorageError, match="has no backing file"):
        case.driver.restore(grant)
    with pytest.raises(StorageError, match="has no backing file"):
        case.grant(volume, "node5", own)
    assert Tgtadm(case.control_port).targets() == {}


def test_nothing_is_left_of_a_volume_that_could_not_be_made(case: TgtCase) -> None:
    uuid = ids.new_uuid()
    case.stop()
    with pytest.raises(StorageError):
        case.driver.create(uuid, SIZE)
    case.start()
    made = case.driver.create(uuid, SIZE)
    assert case.driver.size_bytes(made) == SIZE


@pytest.mark.parametrize("order", [(0, 1, 2), (1, 0, 2), (2, 1, 0), (1, 2, 0)])
def test_accounts_may_go_in_any_order(case: TgtCase, volume: VolumeRef, order: tuple[int, ...]) -> None:
    """tgtd 1.0.85 dies of the next listing when an account that is not the last one is simply unbound."""
    hosts = ["node5", "node6", "stranger"]
    attachments = [ids.new_uuid() for _ in hosts]
    infos = [case.grant(volume, host, own) for host, own in zip(hosts, attachments, strict=True)]
    left = set(range(3))
    for gone in order:
        case.revoke(volume, hosts[gone], attachments[gone])
        left.discard(gone)
        assert case.driver.granted(volume) == {connector(hosts[index]).initiator for index in left}
        assert all(case.why_refused(infos[index], hosts[index]) is None for index in left)


def test_targets_of_others_are_left_alone(case: TgtCase, volume: VolumeRef) -> None:
    base = ["tgtadm", "--control-port", str(case.control_port), "--lld", "iscsi", "--mode", "target"]
    subprocess.run([*base, "--op", "new", "--tid", "7", "--targetname", "iqn.2001-01.example:theirs"], check=True)
    subprocess.run([*base, "--op", "bind", "--tid", "7", "--initiator-address", "ALL"], check=True)
    case.grant(volume, "node5", ids.new_uuid())
    case.driver.delete(volume)
    listing = subprocess.run([*base, "--op", "show"], capture_output=True, text=True, check=True).stdout
    assert "iqn.2001-01.example:theirs" in listing
    assert "ALL" in listing
    assert volume.uuid not in listing
