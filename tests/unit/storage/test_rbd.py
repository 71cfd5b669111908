"""The RBD driver's command lines, against a cluster in memory; `tests/conformance` asks a real one."""

from __future__ import annotations

from dataclasses import replace

import pytest

from lmigrate import shell
from lmigrate.config import RbdBackend
from lmigrate.errors import StorageError
from lmigrate.storage.drivers.audit import Access, Grant
from lmigrate.storage.drivers.base import Connector, VolumeRef
from lmigrate.storage.drivers.rbd import RbdDriver
from tests.fakes.ceph import FakeCeph

NODE5 = Connector("node5", "iqn.x:node5", "127.0.0.1")
UUID = "3f2a9b7c-0000-4000-8000-000000000001"
ATTACHMENT = "a77ac4ed-0000-4000-8000-000000000001"
BASE = ["--conf", "/etc/ceph/ceph.conf", "--id", "lmigrate"]


@pytest.fixture
def ceph(monkeypatch: pytest.MonkeyPatch) -> FakeCeph:
    fake = FakeCeph("vms")
    monkeypatch.setattr(shell, "run", fake.run)
    return fake


@pytest.fixture
def driver(ceph: FakeCeph) -> RbdDriver:
    monitors = ["10.0.0.11:6789", "10.0.0.12", "[fd00::13]:3300", "mon4"]
    return RbdDriver("ceph1", RbdBackend(driver="rbd", pool="vms", monitors=monitors, user="lmigrate"))


@pytest.fixture
def volume(driver: RbdDriver, ceph: FakeCeph) -> VolumeRef:
    made = driver.create(UUID, (10 << 20) + 1)
    ceph.commands.clear()
    return made


def test_sizes_are_whole_mib(driver: RbdDriver, volume: VolumeRef, ceph: FakeCeph) -> None:
    assert driver.size_bytes(volume) == 11 << 20
    assert ceph.commands == [["rbd", *BASE, "info", "--format", "json", f"vms/{UUID}"]]


def test_grant_makes_a_user_of_its_own(driver: RbdDriver, volume: VolumeRef, ceph: FakeCeph) -> None:
    info = driver.grant(volume, NODE5, ATTACHMENT)
    user = f"client.lm-{ATTACHMENT}"
    caps = ["mon", "profile rbd", "osd", "profile rbd pool=vms"]
    assert ceph.commands == [
        ["rbd", *BASE, "image-meta", "set", f"vms/{UUID}", f"lmigrate.{ATTACHMENT}", "iqn.x:node5"],
        ["ceph", *BASE, "auth", "get-or-create", user, *caps, "--format", "json"],
    ]
    assert (info.protocol, info.source_name, info.auth_username, info.auth_type) == ("rbd", f"vms/{UUID}", f"lm-{ATTACHMENT}", "ceph")
    assert info.hosts == (("10.0.0.11", 6789), ("10.0.0.12", 6789), ("fd00::13", 3300), ("mon4", 6789))
    assert info.secret == ceph.users[user]["key"]
    assert driver.grant(volume, NODE5, ATTACHMENT).secret == info.secret


def test_revoke_removes_the_user_before_it_ends_the_hosts_sessions(driver: RbdDriver, volume: VolumeRef, ceph: FakeCeph) -> None:
    driver.grant(volume, NODE5, ATTACHMENT)
    name = driver.source_name(volume)
    own, neighbours, far = "127.0.0.1:0/3114", "127.0.0.1:0/3115", "10.0.0.6:0/77"
    ceph.watchers[name] = [own, neighbours, far]
    ceph.sessions = {own: f"client.lm-{ATTACHMENT}", neighbours: "client.lm-another-guests"}
    ceph.commands.clear()
    driver.revoke(volume, NODE5, ATTACHMENT)
    assert [words[5:8] for words in ceph.commands] == [
        ["auth", "rm", f"client.lm-{ATTACHMENT}"],
        ["quorum_status", "--format", "json"],
        ["tell", "mon.a", "sessions"],
        ["status", "--format", "json"],
        ["osd", "blocklist", "add"],
        ["image-meta", "remove", name],
    ]
    assert ceph.blocklist == [own]
    assert ceph.watchers[name] == [neighbours, far]


def test_a_client_that_lost_its_monitor_is_ended_by_its_hosts_address(driver: RbdDriver, volume: VolumeRef, ceph: FakeCeph) -> None:
    driver.grant(volume, NODE5, ATTACHMENT)
    ceph.watchers[driver.source_name(volume)] = ["127.0.0.1:0/3114", "10.0.0.6:0/77"]
    driver.revoke(volume, NODE5, ATTACHMENT)
    assert ceph.blocklist == ["127.0.0.1:0/3114"]


def test_a_leak_is_withdrawn_with_its_sessions(driver: RbdDriver, volume: VolumeRef, ceph: FakeCeph) -> None:
    driver.grant(volume, NODE5, ATTACHMENT)
    ceph.sessions = {"10.0.0.5:0/7": f"client.lm-{ATTACHMENT}"}
    ceph.users["client.lm-of-somebody"] = {"key": "AQ==", "osd": "profile rbd pool=vms"}
    ceph.users[f"client.lm-{UUID}"] = {"key": "AQ==", "osd": "profile rbd pool=another"}
    (leak,) = driver.accesses([volume])
    assert leak == Access(volume.uuid, attachment_uuid=ATTACHMENT)
    driver.withdraw(leak, volume)
    assert (ceph.blocklist, driver.accesses([volume]), driver.granted(volume)) == (["10.0.0.5:0/7"], frozenset(), frozenset())


def test_a_user_that_somebody_removed_comes_back_with_its_key(driver: RbdDriver, volume: VolumeRef, ceph: FakeCeph) -> None:
    info = driver.grant(volume, NODE5, ATTACHMENT)
    grant = Grant(volume, NODE5, ATTACHMENT, info)
    before = dict(ceph.users)
    assert driver.missing([grant]) == []
    ceph.users.clear()
    assert driver.missing([grant]) == [grant]
    driver.restore(grant)
    assert ceph.users == before
    assert driver.missing([grant]) == []


def test_an_address_that_nobody_knows_is_told(driver: RbdDriver, volume: VolumeRef, ceph: FakeCeph) -> None:
    ceph.watchers[driver.source_name(volume)] = ["127.0.0.1:0/3114"]
    with pytest.raises(StorageError, match=r"ceph1: the host's address nowhere\.invalid is not known"):
        driver.revoke(volume, Connector("node5", "iqn.x:node5", "nowhere.invalid"), ATTACHMENT)


def test_granted_are_those_with_a_user(driver: RbdDriver, volume: VolumeRef, ceph: FakeCeph) -> None:
    driver.grant(volume, NODE5, ATTACHMENT)
    assert driver.granted(volume) == {"iqn.x:node5"}
    ceph.users.clear()
    assert driver.granted(volume) == frozenset()


def test_deleting_an_image_forgets_its_users(driver: RbdDriver, volume: VolumeRef, ceph: FakeCeph) -> None:
    driver.grant(volume, NODE5, ATTACHMENT)
    driver.delete(volume)
    assert (ceph.users, ceph.images) == ({}, {})


def test_an_image_in_use_is_not_deleted(driver: RbdDriver, volume: VolumeRef, ceph: FakeCeph) -> None:
    ceph.watchers[driver.source_name(volume)] = ["10.0.0.6:0/77"]
    with pytest.raises(StorageError, match="image still has watchers"):
        driver.delete(volume)


def test_images_of_other_pools_are_not_found(driver: RbdDriver, volume: VolumeRef) -> None:
    assert driver.locate(f"vms/{UUID}") == {"pool": "vms", "image": UUID}
    with pytest.raises(StorageError, match="is not in pool vms"):
        driver.locate(f"backups/{UUID}")
    with pytest.raises(StorageError, match="No such file"):
        driver.locate("vms/other")


def test_a_key_is_in_no_command_line(driver: RbdDriver, volume: VolumeRef, ceph: FakeCeph) -> None:
    secret = driver.grant(volume, NODE5, ATTACHMENT).secret
    assert secret is not None
    driver.restore(Grant(volume, NODE5, ATTACHMENT, replace(driver.grant(volume, NODE5, ATTACHMENT), secret=secret)))
    driver.revoke(volume, NODE5, ATTACHMENT)
    assert not any(secret in word for words in ceph.commands for word in words)
