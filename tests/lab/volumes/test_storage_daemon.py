"""The storage daemon beside a real tgtd: volumes become known, leaks go, what tgtd forgot comes back."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from lmigrate.clock import monotonic_s
from lmigrate.ids import new_uuid
from lmigrate.lab.topology import Lab
from lmigrate.storage.drivers.base import Connector
from tests.lab.conftest import StartGuest
from tests.lab.moves import assert_moved
from tests.lab.volumes.carrier import targets, tgtadm
from tests.lab.volumes.conftest import StartCarrier
from tests.lab.wire import Wire, eventually

pytestmark = [pytest.mark.lab, pytest.mark.one_database]

FOREIGN = "iqn.1993-08.org.debian:01:somebody"
QUICK = {"LMIGRATE_STORAGE__SWEEP_INTERVAL_S": "1", "LMIGRATE_STORAGE__LEAK_GRACE_S": "2"}


@pytest.fixture
def sweeping(lab: Lab) -> Iterator[Lab]:
    """A lab whose storage is looked at every second."""
    for daemon in ("storage", "beat"):
        restart(lab, daemon, QUICK)
    yield lab
    for daemon in ("storage", "beat"):
        restart(lab, daemon, {})


def restart(lab: Lab, daemon: str, env: dict[str, str]) -> None:
    lab.kill(daemon)
    lab.start_daemon(daemon, env=env)


def lmigrate(lab: Lab, *words: str) -> subprocess.CompletedProcess[str]:
    argv = [sys.executable, "-m", "lmigrate.cli.main", *words]
    return subprocess.run(argv, env={**os.environ, "LMIGRATE_URL": lab.url}, capture_output=True, text=True, check=False)


def test_a_volume_of_the_operator_becomes_known(lab: Lab) -> None:
    iqn, path = "iqn.2026-11.org.example:by-hand", lab.paths.volumes / "by-hand.raw"
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(bytes(3 << 20))
    tgtadm(lab, "new", "target", "--tid", "900", "--targetname", iqn)
    tgtadm(lab, "new", "logicalunit", "--tid", "900", "--lun", "1", "--backing-store", str(path))
    done = lmigrate(lab, "volume", "register", "by-hand", "--backend", "san1", "--source-name", f"{iqn}/1", "-o", "json")
    assert done.returncode == 0, done.stderr
    made: dict[str, Any] = json.loads(done.stdout)
    assert (made["state"], made["size_bytes"], made["attachments"]) == ("available", 3 << 20, [])
    assert made["uuid"] in lmigrate(lab, "volume", "list", "--backend", "san1").stdout
    assert iqn in lmigrate(lab, "volume", "show", "by-hand").stdout
    again = lmigrate(lab, "volume", "register", "by-hand", "--backend", "san1", "--source-name", f"{iqn}/1")
    absent = lmigrate(lab, "volume", "register", "x", "--backend", "san1", "--source-name", "iqn.2026-11.org.example:absent/1")
    unknown = lmigrate(lab, "volume", "register", "x", "--backend", "san9", "--source-name", "x")
    assert [(one.returncode != 0, word in one.stderr) for one, word in ((again, "already"), (absent, "has no"), (unknown, "san1"))] == [
        (True, True)
    ] * 3, (again.stderr, absent.stderr, unknown.stderr)
    tgtadm(lab, "delete", "target", "--tid", "900", "--force")


def test_a_guest_on_a_target_of_the_operator_moves(lab: Lab, wire: Wire, start: StartGuest) -> None:
    """As docs/backends/iscsi-tgt.md has it: made, and its first host let in, by hand and without CHAP."""
    iqn, path = "iqn.2026-11.org.example:own-target", lab.paths.volumes / "own-target.raw"
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(bytes(3 << 20))
    initiator = Connector.from_json(wire.get("/v1/hosts/node5")["connector"]).initiator
    tgtadm(lab, "new", "target", "--tid", "901", "--targetname", iqn)
    tgtadm(lab, "new", "logicalunit", "--tid", "901", "--lun", "1", "--backing-store", str(path))
    tgtadm(lab, "bind", "target", "--tid", "901", "--initiator-name", initiator)
    portal = f"<host name='{lab.state.addresses['ctl']}' port='3260'/><initiator><iqn name='{initiator}'/></initiator>"
    disk = f"<source protocol='iscsi' name='{iqn}/1'>{portal}</source><target dev='vdb' bus='virtio'/>"
    guest = start("node5", devices_xml=f"<disk type='network' device='disk'><driver name='qemu' type='raw' cache='none'/>{disk}</disk>")
    done = lmigrate(lab, "volume", "register", "own-target", "--backend", "san1", "--source-name", f"{iqn}/1", "-o", "json")
    assert done.returncode == 0, done.stderr
    uuid = json.loads(done.stdout)["uuid"]
    assert access_to(wire, uuid) == [("node5", "granted")]
    began = monotonic_s()
    assert_moved(lab, wire, guest, wire.move(guest.uuid, "node6"), since=began)
    assert access_to(wire, uuid) == [("node6", "granted")]
    target = targets(lab)[iqn]
    assert ([name.rpartition(":")[2] for name in target.initiators], len(target.accounts)) == (["node6"], 1)


def access_to(wire: Wire, volume: str) -> list[tuple[str, str]]:
    return [(one["host"], one["state"]) for one in wire.get(f"/v1/volumes/{volume}")["attachments"]]


@pytest.mark.both_databases
def test_a_leak_goes_and_nothing_else(sweeping: Lab, wire: Wire, carry: StartCarrier) -> None:
    carrier, leaked = carry(2), f"lm-{new_uuid()}"
    target = carrier.targets()[0]
    for initiator in (FOREIGN, "iqn.2026-11.org.lmigrate.host:node6"):
        tgtadm(sweeping, "bind", "target", "--tid", str(target.tid), "--initiator-name", initiator)
    tgtadm(sweeping, "new", "account", "--user", leaked, "--password", "not-the-secret")
    tgtadm(sweeping, "bind", "account", "--tid", str(target.tid), "--user", leaked)
    eventually("the leak is gone", lambda: carrier.let_in() == [["node5", "somebody"], ["node5"]], deadline_s=30)
    eventually("its account is gone", lambda: leaked not in tgtadm(sweeping, "show", "account"), deadline_s=30)
    tgtadm(sweeping, "unbind", "target", "--tid", str(target.tid), "--initiator-name", FOREIGN)
    carrier.assert_only("node5")
    assert carrier.guest.report().is_unbroken
    shown = lmigrate(sweeping, "server", "show", carrier.uuid)
    assert shown.stdout.count("san1") == 4, shown.stdout  # where each lies, and who may reach it
    attachments = lmigrate(sweeping, "volume", "attachments", carrier.volumes[0].uuid).stdout.splitlines()
    assert [line.split()[1:3] for line in attachments[1:]] == [["node5", "granted"]]
    listed = wire.nova(f"/servers/{carrier.uuid}/os-volume_attachments")["volumeAttachments"]
    assert {one["volumeId"] for one in listed} == {volume.uuid for volume in carrier.volumes}


def test_a_restarted_tgtd_gets_back_what_it_forgot(sweeping: Lab, wire: Wire, carry: StartCarrier) -> None:
    carrier = carry(2, kind="linux", memory_mib=160)
    guest = carrier.guest
    guest.wait_ticks(2)
    sweeping.kill("tgtd")
    sweeping.start_daemon("tgtd")
    eventually("the targets are back", lambda: carrier.let_in() == [["node5"]] * 2, deadline_s=30)
    eventually("the guest is logged in again", lambda: carrier.logged_in() == {"node5"}, deadline_s=60)
    guest.wait_ticks(5, timeout_s=60)
    assert guest.report().is_unbroken
    carrier.assert_only("node5")
    began = monotonic_s()
    ended = wire.move(guest.uuid, "node6")
    assert_moved(sweeping, wire, guest, ended, since=began)
    carrier.assert_only("node6")
    assert set(targets(sweeping)) >= {carrier.target_name(volume) for volume in carrier.volumes}
