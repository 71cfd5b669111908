"""The lab's guests on real hosts, moved by libvirt alone: what they tell must be true before lmigrate is judged by it."""

from __future__ import annotations

import json
import secrets
import subprocess
from collections.abc import Iterator

import pytest
import yaml
from click.testing import CliRunner

from lmigrate.clock import monotonic_s
from lmigrate.lab.errors import GuestExists
from lmigrate.lab.guests import DiskSpec, Guest, GuestSpec, start_guest
from lmigrate.lab.guests.domain_xml import disk_name
from lmigrate.lab.guests.guest import NoSuchGuest
from lmigrate.lab.guests.instance_files import BASE
from lmigrate.lab.lab_cmd import lab as lab_command
from lmigrate.lab.options import LabOptions
from lmigrate.lab.topology import Lab
from lmigrate.lab.wait import wait_for

pytestmark = [pytest.mark.lab, pytest.mark.one_database]

DISKS = (DiskSpec("raw", 8, fill_mib=4), DiskSpec("qcow2", 8), DiskSpec("qcow2", 8, backing="base8.img", fill_mib=1))


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    with Lab.throwaway(LabOptions(lab_id=f"g-{secrets.token_hex(3)}", instances="private", daemons=False)) as up:
        yield up


def move(guest: Guest, source: str, destination: str) -> None:
    """By libvirt's own means, with the disks of the destination made by hand."""
    lab, spec = guest.lab, guest.spec
    guest.directory(destination).mkdir()
    for place, disk in enumerate(spec.disks):
        path = lab.host(destination).instances_path / guest.uuid / disk_name(place)
        backing = ["-b", str(lab.host(destination).instances_path / BASE / disk.backing), "-F", "raw"] if disk.backing else []
        create = ["qemu-img", "create", "-q", "-f", disk.format, *backing, str(path), f"{disk.size_mib}M"]
        lab.host(destination).run(create, check=True)
    copy = ["--copy-storage-inc", "--migrate-disks", ",".join(f"vd{chr(ord('a') + n)}" for n in range(len(spec.disks)))]
    lab.host(source).virsh(
        "migrate", "--live", "--p2p", "--tls", "--persistent", "--undefinesource", *(copy if spec.disks else []), guest.uuid,
        f"qemu+tls://{destination}/system", timeout_s=120,
    )  # fmt: skip


def test_a_tick_guest_goes_on_counting_at_the_other_host(lab: Lab) -> None:
    spec = GuestSpec(name="tick", rate_hz=50, dirty_mib=8, dirty_mib_per_s=8, fill_mib=8, disks=DISKS)
    with start_guest(lab, "node5", spec) as guest:
        contents, began_s = guest.disk_checksums("node5"), monotonic_s()
        guest.wait_ticks(10)
        move(guest, "node5", "node6")
        guest.wait_ticks(50)
        report = guest.report(since=began_s)
        assert guest.states() == {"node6": "running"}
        assert guest.disk_checksums("node6") == contents
    assert report.is_unbroken, report
    assert report.hosts == ("node5", "node6")
    assert report.dirtied_mib_per_s > 0


def test_a_linux_guest_finds_its_disks_as_it_left_them(lab: Lab) -> None:
    spec = GuestSpec(kind="linux", name="linux", memory_mib=192, rate_hz=20, dirty_mib=8, dirty_mib_per_s=4, disks=DISKS)
    with start_guest(lab, "node5", spec) as guest:
        began_s = monotonic_s()
        guest.wait_ticks(60)
        move(guest, "node5", "node6")
        guest.wait_ticks(100)
        report, last = guest.report(since=began_s), guest.last()
    assert report.is_unbroken, report
    assert report.hosts == ("node5", "node6")
    assert last is not None
    assert (last.line.details["disks"], int(last.line.details["blocks"])) == ("3", 3 * last.line.count)


def test_a_guest_may_start_paused_and_transient(lab: Lab) -> None:
    with start_guest(lab, "node5", GuestSpec(name="odd", paused=True, transient=True, firmware="bios", disks=(DiskSpec(),))) as guest:
        assert guest.states() == {"node5": "paused"}
        assert guest.report().counter_first == 1
        assert lab.host("node5").virsh("dominfo", guest.uuid).stdout.split("Persistent:")[1].split()[0] == "no"
    assert guest.states() == {}


def test_a_guest_obeys_virsh_shutdown(lab: Lab) -> None:
    with start_guest(lab, "node5", GuestSpec(name="obedient")) as guest:
        for host in lab.hosts:  # nor does it mind another that would be called the same
            with pytest.raises(GuestExists, match="obedient"):
                start_guest(lab, host, GuestSpec(name="obedient"))
        guest.wait_ticks(1)
        lab.host("node5").virsh("shutdown", "--mode", "acpi", guest.uuid)
        wait_for("the guest's end", lambda: guest.states() == {"node5": "shut off"}, deadline_s=20)


def test_a_guest_that_cannot_start_leaves_nothing(lab: Lab) -> None:
    spec = GuestSpec(name="wrong", machine="pc-i440fx-0.1", disks=(DiskSpec(),))
    with pytest.raises(subprocess.CalledProcessError):
        start_guest(lab, "node5", spec)
    assert not (lab.host("node5").instances_dir / spec.uuid).exists()
    assert "wrong" not in lab.host("node5").domains()
    with pytest.raises(NoSuchGuest):
        Guest.find(lab, "wrong")


def test_the_command_line(lab: Lab) -> None:
    def run(*arguments: str) -> str:
        result = CliRunner().invoke(lab_command, ["guest", arguments[0], "--id", lab.options.lab_id, *arguments[1:]])
        assert result.exit_code == 0, result.output
        return result.output

    started = json.loads(run("start", "cli", "--rate-hz", "50", "--disk", "qcow2:4:1", "-o", "json"))
    assert started["host"] == "node5"
    move(Guest.find(lab, "cli"), "node5", "node6")
    heard = json.loads(run("report", "cli", "--listen-s", "0.5", "-o", "json"))
    assert heard["hosts"] == ["node6"]
    recorded = yaml.safe_load(run("report", started["uuid"], "-o", "yaml"))
    assert recorded["hosts"] == ["node5", "node6"]
    assert recorded["is_unbroken"] is True
    assert "unbroken" in run("report", "cli", "--last-s", "1")
    (row,) = yaml.safe_load(run("list", "-o", "yaml"))
    assert row["states"] == {"node6": "running"}
    assert "cli" in run("list")
    assert run("stop", "cli") == "cli is gone\n"
    assert json.loads(run("list", "-o", "json")) == []
