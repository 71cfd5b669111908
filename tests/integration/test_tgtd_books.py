"""The books of a real tgtd: found by name, compared, restored after it forgot them."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from lmigrate.config import IscsiTgtBackend
from lmigrate.errors import StorageError
from lmigrate.ids import new_uuid
from lmigrate.shell import CommandFailed
from lmigrate.storage import login
from lmigrate.storage.drivers.audit import Access, Grant
from lmigrate.storage.drivers.base import Connector, VolumeRef
from lmigrate.storage.drivers.iscsi_tgt import IscsiTgtDriver
from lmigrate.storage.drivers.tgtadm import Tgtadm

pytestmark = pytest.mark.skipif(os.geteuid() != 0 or shutil.which("tgtd") is None, reason="tgtd runs as root only")

CONTROL_PORT = 20_000 + os.getpid() % 10_000
NODE5, NODE6 = (Connector(name, f"iqn.2026-11.org.lmigrate.host:{name}", "127.0.0.1") for name in ("node5", "node6"))
FOREIGN = "iqn.1993-08.org.debian:01:somebody"
Restart = Callable[[], None]


@contextmanager
def tgtd(portal: str) -> Iterator[subprocess.Popen[bytes]]:
    argv = ["setpriv", "--pdeathsig=KILL", "tgtd", "-f", "-C", str(CONTROL_PORT), "--iscsi", f"portal={portal}"]
    with subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            _until_it_answers()
            yield process
        finally:
            process.kill()


def _until_it_answers() -> None:
    until = time.monotonic() + 20
    while True:
        try:
            Tgtadm(CONTROL_PORT).targets()
        except CommandFailed:
            assert time.monotonic() < until
            time.sleep(0.05)
        else:
            return


@pytest.fixture
def options(tmp_path: Path) -> IscsiTgtBackend:
    portal = f"127.0.0.1:{CONTROL_PORT}"
    return IscsiTgtBackend(driver="iscsi-tgt", portal=portal, directory=tmp_path, control_port=CONTROL_PORT)


@pytest.fixture
def driver(options: IscsiTgtBackend) -> Iterator[IscsiTgtDriver]:
    with tgtd(options.portal):
        yield IscsiTgtDriver("san1", options)


def granted(driver: IscsiTgtDriver, volume: VolumeRef, connector: Connector) -> Grant:
    uuid = new_uuid()
    return Grant(volume, connector, uuid, driver.grant(volume, connector, uuid))


def entries(grant: Grant) -> set[Access]:
    volume = grant.volume.uuid
    return {Access(volume, initiator=grant.connector.initiator), Access(volume, attachment_uuid=grant.attachment_uuid)}


def test_books(driver: IscsiTgtDriver) -> None:
    volume = driver.create(new_uuid(), 1 << 20)
    other = driver.create(new_uuid(), 2 << 20)
    here, there = granted(driver, volume, NODE5), granted(driver, other, NODE6)
    tgtadm, lost = Tgtadm(CONTROL_PORT), new_uuid()
    tid = tgtadm.targets()[volume.location["iqn"]].tid
    tgtadm.run("bind", "target", tid=tid, initiator_name=FOREIGN)
    tgtadm.run("new", "account", user=f"lm-{lost}", password="x")
    tgtadm.run("new", "account", user="somebody", password="x")
    foreign, unbound = Access(volume.uuid, initiator=FOREIGN), Access(None, attachment_uuid=lost)
    assert driver.accesses([volume, other]) == entries(here) | entries(there) | {foreign, unbound}
    assert driver.accesses([volume]) == entries(here) | {foreign, unbound}
    driver.withdraw(unbound, None)
    for entry in entries(here):
        driver.withdraw(entry, volume)
        driver.withdraw(entry, volume)  # twice is once
    assert driver.accesses([volume, other]) == entries(there) | {foreign}
    assert login.why_refused(there.info) is None
    assert login.why_refused(here.info) is not None
    assert tgtadm.accounts() == {"somebody", f"lm-{there.attachment_uuid}"}


def test_a_volume_is_located_by_name(driver: IscsiTgtDriver) -> None:
    volume = driver.create(new_uuid(), 2 << 20)
    assert driver.locate(driver.source_name(volume)) == volume.location
    for absent in (f"{volume.location['iqn']}/2", "iqn.2026-11.org.example:absent/1", "nonsense"):
        with pytest.raises(StorageError, match="san1: tgtd has no"):
            driver.locate(absent)


def test_what_a_restart_forgot_is_restored_with_the_same_password(options: IscsiTgtBackend) -> None:
    driver = IscsiTgtDriver("san1", options)
    with tgtd(options.portal):
        volume = driver.create(new_uuid(), 1 << 20)
        grants = [granted(driver, volume, NODE5), granted(driver, volume, NODE6)]
        assert driver.missing(grants) == []
    with tgtd(options.portal):
        assert driver.missing(grants) == grants
        assert login.why_refused(grants[0].info) is not None
        for _ in range(2):
            for grant in grants:
                driver.restore(grant)
        assert driver.missing(grants) == []
        assert driver.accesses([volume]) == entries(grants[0]) | entries(grants[1])
        assert [login.why_refused(grant.info) for grant in grants] == [None, None]
