"""The Cinder driver against a service that speaks HTTP (tests/fakes/cinder.py): the order of its calls, and its refusals."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from lmigrate import ids
from lmigrate.config import CinderBackend
from lmigrate.errors import StorageError, StorageUnavailable
from lmigrate.storage.drivers.base import Connector, VolumeRef
from lmigrate.storage.drivers.cinder import CinderDriver
from tests.fakes.cinder import FakeCinder, serving
from tests.fakes.keystone import SERVICE, SERVICE_PASSWORD, keystone
from tests.served import served

NODE5, NODE6 = Connector("node5", "iqn.x:node5", "10.0.0.5"), Connector("node6", "iqn.x:node6", "10.0.0.6")
INSTANCE = "1257a2ce-0000-4000-8000-000000000001"


@pytest.fixture
def cinder() -> Iterator[FakeCinder]:
    with serving(FakeCinder()) as fake:
        yield fake


def driver_for(cinder: FakeCinder, **options: Any) -> CinderDriver:
    auth = {"endpoint": cinder.endpoint}
    data = {"driver": "cinder", "auth_type": "none", "auth": auth, "endpoint": cinder.endpoint, "timeout_s": 5, **options}
    return CinderDriver("openstack", CinderBackend.model_validate(data))


@pytest.fixture
def driver(cinder: FakeCinder) -> CinderDriver:
    return driver_for(cinder)


@pytest.fixture
def volume(driver: CinderDriver, cinder: FakeCinder) -> VolumeRef:
    made = driver.create(ids.new_uuid(), 1 << 20)
    cinder.requests.clear()
    return made


def grant(driver: CinderDriver, volume: VolumeRef, host: Connector, instance: str | None = INSTANCE) -> Any:
    return driver.grant(volume, host, ids.new_uuid(), instance_uuid=instance)


def revoke(driver: CinderDriver, volume: VolumeRef, host: Connector) -> None:
    driver.revoke(volume, host, ids.new_uuid(), instance_uuid=INSTANCE)


def test_the_region_is_looked_up_in_keystones_catalogue(cinder: FakeCinder) -> None:
    """The other region's service does not answer."""
    regions = {"north": cinder.endpoint, "south": "http://127.0.0.1:1/v3"}
    domains = {"user_domain_id": "default", "project_domain_id": "default", "project_name": "work"}
    with served(keystone({}, regions)) as url:
        auth = {"auth_url": f"{url}/v3", "username": SERVICE, "password": SERVICE_PASSWORD, **domains}
        north, south = (driver_for(cinder, auth_type="v3password", auth=auth, endpoint=None, region=region) for region in regions)
        made = north.create(ids.new_uuid(), 1 << 20)
        assert north.size_bytes(made) == 1 << 30  # Cinder counts in GiB
        with pytest.raises(StorageUnavailable):
            south.size_bytes(made)


def test_grant_creates_with_the_connector_and_completes(driver: CinderDriver, volume: VolumeRef, cinder: FakeCinder) -> None:
    info = grant(driver, volume, NODE5)
    changes = [request for request in cinder.requests if not request.startswith("GET")]
    assert changes == ["POST attachments", "POST action"]
    [row] = cinder.attachments.values()
    assert (row["status"], row["instance"]) == ("attached", INSTANCE)
    assert {name: row["connector"][name] for name in ("host", "initiator", "ip", "multipath")} == {
        "host": "node5",
        "initiator": "iqn.x:node5",
        "ip": "10.0.0.5",
        "multipath": False,
    }
    assert info.hosts == (("192.0.2.7", 3260),)
    assert (info.source_name, info.initiator) == (driver.source_name(volume), "iqn.x:node5")


def test_both_hosts_have_attachments_while_the_guest_moves(driver: CinderDriver, volume: VolumeRef, cinder: FakeCinder) -> None:
    source = grant(driver, volume, NODE5)
    destination = grant(driver, volume, NODE6)
    assert source.secret != destination.secret
    revoke(driver, volume, NODE5)
    [row] = cinder.attachments.values()
    assert row["connector"]["host"] == "node6"


@pytest.mark.parametrize("failing", ["connect", "POST action"])
def test_what_an_interrupted_grant_left_is_removed(driver: CinderDriver, volume: VolumeRef, cinder: FakeCinder, failing: str) -> None:
    grant(driver, volume, NODE5)
    cinder.fails = {failing}
    with pytest.raises(StorageError, match="openstack: Cinder: Unable to do that"):
        grant(driver, volume, NODE6)
    assert len(cinder.attachments) == 2
    cinder.fails = set()
    grant(driver, volume, NODE6)
    assert sorted(row["connector"]["host"] for row in cinder.attachments.values()) == ["node5", "node6"]
    cinder.fails = {failing}
    revoke(driver, volume, NODE6)
    with pytest.raises(StorageError):
        grant(driver, volume, NODE6)
    revoke(driver, volume, NODE6)
    assert [row["connector"]["host"] for row in cinder.attachments.values()] == ["node5"]


def by_hand(cinder: FakeCinder, volume: VolumeRef, host: Connector) -> str:
    """An attachment that somebody made for the running guest and never completed."""
    asked = {"volume_uuid": volume.location["volume_id"], "instance_uuid": INSTANCE, "connector": {"host": host.host}}
    _, made = cinder.answer("POST", "/v3/attachments", {}, {"attachment": asked})
    assert made is not None
    cinder.requests.clear()
    return str(made["attachment"]["id"])


def test_the_sources_attachment_that_is_not_completed_is_left_alone(driver: CinderDriver, volume: VolumeRef, cinder: FakeCinder) -> None:
    """Cinder shows no host of it: it is the one by which the guest writes, as far as anybody knows."""
    own = by_hand(cinder, volume, NODE5)
    with pytest.raises(StorageError, match=f"{INSTANCE} .* not completed in Cinder: {own}"):
        grant(driver, volume, NODE6)
    revoke(driver, volume, NODE6)
    assert [request for request in cinder.requests if not request.startswith("GET")] == []
    assert list(cinder.attachments) == [own]
    cinder.answer("POST", f"/v3/attachments/{own}/action", {}, {"os-complete": {}})
    grant(driver, volume, NODE6)
    revoke(driver, volume, NODE6)
    assert list(cinder.attachments) == [own]


def test_a_host_is_shut_out_without_the_others_attachment_that_is_not_completed(
    driver: CinderDriver, volume: VolumeRef, cinder: FakeCinder
) -> None:
    grant(driver, volume, NODE6)
    own = by_hand(cinder, volume, NODE5)
    revoke(driver, volume, NODE6)
    assert list(cinder.attachments) == [own]


OURS = {"node5", "node6", "node7"}


def test_what_the_records_explain_is_no_stray(driver: CinderDriver, volume: VolumeRef) -> None:
    grant(driver, volume, NODE5)
    grant(driver, volume, NODE6)
    assert driver.strays(volume, {(INSTANCE, "node5"), (INSTANCE, "node6")}, OURS) == []


def test_an_attachment_that_was_never_completed_is_told(driver: CinderDriver, volume: VolumeRef, cinder: FakeCinder) -> None:
    """With or without a completed one of another host; nothing is changed."""
    own = by_hand(cinder, volume, NODE5)
    for _ in range(2):
        (stray,) = driver.strays(volume, {(INSTANCE, "node5")}, OURS)
        assert (stray.subject, stray.instance_uuid) == (own, INSTANCE)
        assert "never completed" in stray.what
        assert volume.location["volume_id"] in stray.what
        assert {request.split()[0] for request in cinder.requests} == {"GET"}
        cinder.answer("POST", f"/v3/attachments/{own}/action", {}, {"os-complete": {}})
        own = by_hand(cinder, volume, NODE6)


def test_a_third_hosts_attachment_is_told(driver: CinderDriver, volume: VolumeRef, cinder: FakeCinder) -> None:
    grant(driver, volume, NODE5)
    grant(driver, volume, NODE6)
    (stale,) = [identity for identity, row in cinder.attachments.items() if row["connector"]["host"] == "node6"]
    (stray,) = driver.strays(volume, {(INSTANCE, "node5")}, OURS)
    assert (stray.subject, stray.instance_uuid) == (stale, INSTANCE)
    assert stray.what.startswith("node6 has an attachment")
    assert len(cinder.attachments) == 2


def test_a_guest_that_is_not_ours_is_nobodys_stray(driver: CinderDriver, volume: VolumeRef) -> None:
    grant(driver, volume, NODE6)
    assert driver.strays(volume, set(), {"node5"}) == []
    assert len(driver.strays(volume, set(), {"node6"})) == 1  # on a host of ours, by a volume of ours


def test_strays_are_not_guessed_without_the_role_to_see_hosts(driver: CinderDriver, volume: VolumeRef, cinder: FakeCinder) -> None:
    grant(driver, volume, NODE5)
    cinder.shows_hosts = False
    with pytest.raises(StorageError, match="role admin or service"):
        driver.strays(volume, {(INSTANCE, "node5")}, OURS)


def test_another_instances_volume_is_refused(driver: CinderDriver, volume: VolumeRef) -> None:
    grant(driver, volume, NODE5)
    with pytest.raises(StorageError, match="Invalid volume"):
        grant(driver, volume, NODE6, instance=ids.new_uuid())


def test_without_the_role_to_see_hosts_nothing_is_guessed(driver: CinderDriver, volume: VolumeRef, cinder: FakeCinder) -> None:
    grant(driver, volume, NODE5)
    cinder.shows_hosts = False
    with pytest.raises(StorageError, match="role admin or service"):
        revoke(driver, volume, NODE5)
    assert len(cinder.attachments) == 1


def test_the_instance_is_needed(driver: CinderDriver, volume: VolumeRef) -> None:
    with pytest.raises(StorageError, match="which instance"):
        grant(driver, volume, NODE5, instance=None)


def test_other_transports_are_refused_by_name(driver: CinderDriver, volume: VolumeRef, cinder: FakeCinder) -> None:
    cinder.driver_volume_type = "fibre_channel"
    with pytest.raises(StorageError, match="by fibre_channel; lmigrate takes only iscsi"):
        grant(driver, volume, NODE5)


def test_a_volume_that_is_exported_under_another_name_is_refused(cinder: FakeCinder) -> None:
    driver = driver_for(cinder, source_name="iqn.1992-08.com.netapp:sn.{id}/0")
    volume = driver.create(ids.new_uuid(), 1 << 20)
    with pytest.raises(StorageError, match="but it is registered as iqn"):
        grant(driver, volume, NODE5)


def test_a_volume_is_found_by_the_uuid_in_its_name(driver: CinderDriver, volume: VolumeRef) -> None:
    name = driver.source_name(volume)
    assert driver.locate(name) == {"volume_id": volume.location["volume_id"], "source_name": name}
    with pytest.raises(StorageError, match="has no volume"):
        driver.locate(f"iqn.x:volume-{ids.new_uuid()}/1")


def test_a_password_is_in_no_error_and_no_log(
    driver: CinderDriver, volume: VolumeRef, cinder: FakeCinder, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    info = grant(driver, volume, NODE5)
    with pytest.raises(StorageError) as failure:
        grant(driver, volume, NODE6, instance=ids.new_uuid())
    assert info.secret
    assert info.secret not in f"{failure.value}{failure.value.__cause__!r}{caplog.text}"


def test_a_missing_extra_is_told(cinder: FakeCinder, monkeypatch: pytest.MonkeyPatch) -> None:
    driver = driver_for(cinder)
    monkeypatch.setitem(sys.modules, "cinderclient", None)
    with pytest.raises(StorageError, match=r"pip install 'lmigrate\[cinder\]'"):
        driver.create(ids.new_uuid(), 1 << 20)
