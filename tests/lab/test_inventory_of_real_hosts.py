"""The host daemons' inventory and heartbeat against real libvirtd: what is done by hand shows in the records."""

from __future__ import annotations

import secrets
import signal
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from lmigrate.lab.options import LabOptions
from lmigrate.lab.topology import Lab
from lmigrate.lab.wait import wait_for

pytestmark = pytest.mark.lab

DEADLINE_S = 5  # of a short libvirt call, so that a hang shows soon
DOMAIN = """\
<domain type='{type}'>
  <name>{name}</name><uuid>{uuid}</uuid><memory unit='MiB'>48</memory><vcpu>1</vcpu>
  <os><type machine='pc-i440fx-7.2'>hvm</type></os>
  <devices>
    <disk type='file' device='disk'>
      <driver name='qemu' type='raw' cache='none'/><source file='{directory}/disk'/><target dev='vda' bus='virtio'/>
    </disk>
  </devices>
</domain>
"""


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    settings = {"LMIGRATE_HOST__LIBVIRT_DEADLINE_S": str(DEADLINE_S), "LMIGRATE_HOST__HEARTBEAT_INTERVAL_S": "1"}
    with Lab.throwaway(LabOptions(lab_id=f"t-{secrets.token_hex(3)}", env=settings)) as up:
        yield up


@pytest.fixture
def guest(lab: Lab) -> Iterator[str]:
    """UUID of a persistent guest that runs on node5."""
    made = str(uuid.uuid4())
    node5 = lab.host("node5")
    directory = node5.instances_dir / made
    directory.mkdir()
    with (directory / "disk").open("wb") as disk:
        disk.truncate(8 << 20)
    kind = "kvm" if lab.accel.is_kvm else "qemu"
    path = node5.instances_path / made
    (directory / "domain.xml").write_text(DOMAIN.format(type=kind, name=f"d-{made[:8]}", uuid=made, directory=path))
    node5.virsh("define", str(path / "domain.xml"))
    node5.virsh("start", made)
    yield made
    for host in lab.hosts.values():
        host.virsh("destroy", made, check=False)
        host.virsh("undefine", made, check=False)


def server(lab: Lab, guest: str) -> dict[str, Any]:
    answer = httpx.get(f"{lab.url}/v1/servers/{guest}")
    return dict(answer.json()) if answer.status_code == 200 else {}


def host(lab: Lab, name: str) -> dict[str, Any]:
    return dict(httpx.get(f"{lab.url}/v1/hosts/{name}").raise_for_status().json())


def shows(lab: Lab, guest: str, **wanted: object) -> Callable[[], bool]:
    return lambda: wanted.items() <= server(lab, guest).items()


def test_what_is_done_by_hand_shows_within_seconds(lab: Lab, guest: str) -> None:
    node5, node6 = lab.host("node5"), lab.host("node6")
    wait_for("the guest is found", shows(lab, guest, host="node5", vm_state="active", anomaly=None), deadline_s=15)
    assert [(disk["device"], disk["destination_type"]) for disk in server(lab, guest)["disks"]] == [("vda", "local")]

    node5.virsh("suspend", guest)
    wait_for("it is paused", shows(lab, guest, vm_state="paused", power_state="paused"), deadline_s=15)
    node5.virsh("resume", guest)
    wait_for("it runs", shows(lab, guest, vm_state="active"), deadline_s=15)

    uri = f"qemu+{'tls' if lab.options.tls else 'tcp'}://node6/system"
    node5.virsh("migrate", "--live", "--p2p", "--persistent", "--unsafe", *(["--tls"] if lab.options.tls else []), guest, uri)
    wait_for("it is on node6", shows(lab, guest, host="node6", vm_state="active", anomaly=None), deadline_s=15)
    assert [seen["host"] for seen in server(lab, guest)["sightings"]] == ["node5", "node6"]  # node5 keeps its definition

    node6.virsh("destroy", guest)
    wait_for("it is stopped", shows(lab, guest, host="node6", vm_state="stopped", anomaly=None), deadline_s=15)
    node6.virsh("undefine", guest)
    # what the move has left on node5 is not the guest
    gone = {"host": "node6", "vm_state": "unknown", "anomaly": "its domain has vanished from node6"}
    wait_for("it has vanished", shows(lab, guest, **gone), deadline_s=15)
    node5.virsh("undefine", guest)


def test_a_guest_that_runs_twice_is_named(lab: Lab, guest: str) -> None:
    node6 = lab.host("node6")
    wait_for("the guest is found", shows(lab, guest, host="node5", anomaly=None), deadline_s=15)
    copy = (lab.host("node5").instances_dir / guest / "domain.xml").read_text()
    directory = str(node6.instances_path / guest)
    (node6.instances_dir / guest / "twin").write_bytes(b"")
    (node6.instances_dir / guest / "copy.xml").write_text(copy.replace(f"{directory}/disk", f"{directory}/twin"))
    node6.virsh("create", "--paused", f"{directory}/copy.xml")
    wait_for("both are named", shows(lab, guest, vm_state="unknown", anomaly="running on node5 and node6 (paused)"), deadline_s=15)
    node6.virsh("destroy", guest)
    wait_for("all is well again", shows(lab, guest, host="node5", vm_state="active", anomaly=None), deadline_s=15)


def test_a_hung_libvirtd_makes_the_host_down_and_nothing_else(lab: Lab, guest: str) -> None:
    node5 = lab.host("node5")
    wait_for("the guest is found", shows(lab, guest, host="node5"), deadline_s=15)
    node5.kill("libvirtd", signal.SIGSTOP)
    try:
        wait_for("node5 is down", lambda: host(lab, "node5")["state"] == "down", deadline_s=DEADLINE_S + 5)
        assert "did not answer" in str(host(lab, "node5")["down_reason"])
        assert host(lab, "node6")["state"] == "up"
        assert server(lab, guest)["host"] == "node5"
    finally:
        node5.kill("libvirtd", signal.SIGCONT)
    wait_for("node5 is up again", lambda: host(lab, "node5")["state"] == "up", deadline_s=20)
    node5.virsh("suspend", guest)
    wait_for("events come again", shows(lab, guest, vm_state="paused"), deadline_s=20)


def test_a_libvirtd_that_was_started_again_is_heard(lab: Lab, guest: str) -> None:
    node5 = lab.host("node5")
    wait_for("the guest is found", shows(lab, guest, host="node5", vm_state="active"), deadline_s=15)
    node5.kill("libvirtd", signal.SIGKILL)
    try:
        wait_for("node5 is down", lambda: host(lab, "node5")["state"] == "down", deadline_s=DEADLINE_S + 10)
        assert server(lab, guest)["vm_state"] == "active"  # nobody knows better
    finally:
        lab.start_daemon("libvirtd", "node5")
    wait_for("node5 is up again", lambda: host(lab, "node5")["state"] == "up", deadline_s=30)
    node5.virsh("suspend", guest)
    wait_for("events come again", shows(lab, guest, vm_state="paused"), deadline_s=20)
