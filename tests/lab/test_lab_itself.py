"""The lab on its own: hosts, links, faults, and that nothing is left of it."""

from __future__ import annotations

import secrets
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

from lmigrate.lab import processes, status
from lmigrate.lab.errors import NoSuchLab, OptionsDiffer
from lmigrate.lab.host import Host
from lmigrate.lab.lab_cmd import lab as lab_command
from lmigrate.lab.options import LabOptions
from lmigrate.lab.paths import lab_root
from lmigrate.lab.topology import Lab, lab_ids, remove
from lmigrate.lab.wait import wait_for

pytestmark = [pytest.mark.lab, pytest.mark.one_database]

DOMAIN = """\
<domain type='{type}'>
  <name>{name}</name><uuid>{uuid}</uuid><memory unit='MiB'>32</memory><vcpu>1</vcpu>
  <os><type machine='pc-i440fx-7.2'>hvm</type></os>
  <devices>
    <disk type='file' device='disk'>
      <driver name='qemu' type='raw' cache='none'/><source file='{directory}/disk'/><target dev='vda' bus='virtio'/>
    </disk>
  </devices>
</domain>
"""


def new_id() -> str:
    return f"t-{secrets.token_hex(3)}"


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    with Lab.throwaway(LabOptions(lab_id=new_id(), daemons=False)) as up:
        yield up


def start_domain(lab: Lab, host: Host) -> str:
    """An idle guest with one disk; its name."""
    domain_id = str(uuid.uuid4())
    for other in lab.hosts.values():
        directory = other.instances_dir / domain_id
        directory.mkdir(exist_ok=True)
        with (directory / "disk").open("wb") as disk:
            disk.truncate(8 << 20)
    kind = "kvm" if lab.accel.is_kvm else "qemu"
    xml = DOMAIN.format(type=kind, name=f"d-{domain_id[:8]}", uuid=domain_id, directory=host.instances_path / domain_id)
    (host.instances_dir / domain_id / "domain.xml").write_text(xml)
    host.virsh("create", str(host.instances_path / domain_id / "domain.xml"))
    return f"d-{domain_id[:8]}"


def move(lab: Lab, name: str, source: Host, destination: Host) -> None:
    """A peer-to-peer migration by virsh."""
    tls = ["--tls"] if lab.options.tls else []
    storage = ["--copy-storage-all"] if lab.options.instances == "private" else ["--unsafe"]
    uri = f"qemu+{'tls' if lab.options.tls else 'tcp'}://{destination.name}/system"
    source.virsh("migrate", "--live", "--p2p", *tls, *storage, name, uri)


def machine() -> tuple[set[str], str]:
    """Network devices and mounts of the machine itself."""
    devices = {path.name for path in Path("/sys/class/net").iterdir()}
    return devices, Path("/proc/self/mounts").read_text()


def alive(lab_id: str) -> dict[int, Path]:
    return processes.of_labs(lab_root() / lab_id)


@pytest.mark.parametrize(
    ("instances", "tls", "database"),
    [("shared", True, "sqlite"), ("private", True, "postgresql"), ("private", False, "sqlite"), ("shared", False, "sqlite")],
)
def test_a_guest_moves_and_nothing_is_left_of_the_lab(instances: str, database: str, *, tls: bool) -> None:
    before = machine()
    options = LabOptions(lab_id=new_id(), instances=instances, tls=tls, database=database, daemons=False)
    with Lab.throwaway(options) as lab:
        assert machine() == before
        first, second = lab.hosts.values()
        name = start_domain(lab, first)
        move(lab, name, first, second)
        move(lab, name, second, first)
        assert first.domains() == {name: "running"}
        assert second.domains() == {}
        inside = {pid for node in lab.nodes.values() for pid in node.processes()}
    assert alive(options.lab_id) == {}
    assert not any(Path(f"/proc/{pid}/exe").exists() for pid in inside)
    assert machine() == before
    assert not lab.paths.top.exists()


def test_up_again_starts_what_is_missing_and_nothing_twice(lab: Lab) -> None:
    pids = {name: lab.host(name).pid_of("libvirtd") for name in lab.hosts}
    lab.host("node5").kill("libvirtd")
    again = Lab.up(lab.options)
    assert again.host("node6").pid_of("libvirtd") == pids["node6"]
    assert again.host("node5").pid_of("libvirtd") not in (None, pids["node5"])
    assert again.host("node5").domains() == {}
    assert len(alive(lab.options.lab_id)) == 2 * len(lab.nodes)


def test_another_lab_under_the_same_id_is_refused(lab: Lab) -> None:
    with pytest.raises(OptionsDiffer, match="instances"):
        Lab.up(LabOptions(lab_id=lab.options.lab_id, instances="private", daemons=False))


def test_two_labs_stand_side_by_side(lab: Lab) -> None:
    with Lab.throwaway(LabOptions(lab_id=new_id(), hosts=("node5",), daemons=False)) as other:
        name = start_domain(other, other.host("node5"))
        assert name not in lab.host("node5").domains()
        assert {other.state.api_port, other.state.flower_port}.isdisjoint({lab.state.api_port, lab.state.flower_port})
        assert {lab.options.lab_id, other.options.lab_id} <= set(lab_ids())
    assert lab.host("node5").is_running("libvirtd")


def test_a_guest_outlives_its_libvirtd(lab: Lab) -> None:
    host = lab.host("node5")
    name = start_domain(lab, host)
    host.kill("libvirtd")
    assert any(argv and "qemu-system" in argv[0] for argv in host.processes().values())
    lab.start_daemon("libvirtd", "node5")
    wait_for("libvirtd", lambda: host.virsh("list", check=False).returncode == 0, deadline_s=30)
    assert host.domains() == {name: "running"}
    host.virsh("destroy", name)


def test_a_cut_link_is_cut_for_everything_and_mends(lab: Lab) -> None:
    host = lab.host("node5")
    reach_redis = ["bash", "-c", f"exec 3<>/dev/tcp/{lab.state.addresses['ctl']}/6379"]
    reach_other = ["virsh", "--connect", f"qemu+tls://{lab.host('node6').address}/system", "version"]
    assert host.run(reach_redis).returncode == 0
    assert host.run(reach_other).returncode == 0
    lab.cut("node5")
    shown = CliRunner().invoke(lab_command, ["status", "--id", lab.options.lab_id, "-o", "yaml"])
    assert ("node5", "cut") in [(node["name"], node["link"]) for node in yaml.safe_load(shown.output)["nodes"]]
    for command in (reach_redis, reach_other):
        assert not does_reach(host, command)
    lab.mend("node5")
    wait_for("the mended link", lambda: host.run(reach_redis).returncode == 0, deadline_s=10)
    assert host.run(reach_other).returncode == 0


def test_hosts_are_parted_or_one_service_is_blocked(lab: Lab) -> None:
    node5, ctl = lab.host("node5"), lab.state.addresses["ctl"]
    other, redis, tgtd = (
        ["bash", "-c", f"exec 3<>/dev/tcp/{address}/{port}"]
        for address, port in ((lab.host("node6").address, 16514), (ctl, 6379), (ctl, 3260))
    )
    for command in (other, redis, tgtd):
        assert does_reach(node5, command), command
    lab.part()
    assert [does_reach(node5, command) for command in (other, redis, tgtd)] == [False, True, True]
    lab.join()
    lab.block("node5", "redis")
    lab.block("node5", "redis")  # twice is once
    assert [does_reach(node5, command) for command in (redis, tgtd)] == [False, True]
    assert does_reach(lab.host("node6"), redis)
    lab.unblock("node5", "redis")
    for command in (other, redis, tgtd):
        wait_for("the mended link", partial(does_reach, node5, command), deadline_s=10)


def does_reach(host: Host, command: list[str]) -> bool:
    """Nobody answers: it waits, or is told that the neighbour is unreachable."""
    try:
        return host.run(command, timeout_s=2).returncode == 0
    except subprocess.TimeoutExpired:
        return False


def test_a_slow_link_is_slow(lab: Lab) -> None:
    host = lab.host("node5")
    sink = lab.ctl.popen(["python3", "-c", SINK.format(address=lab.state.addresses["ctl"])], stdout=subprocess.PIPE, text=True)
    assert sink.stdout
    port = int(sink.stdout.readline())
    lab.slow("node5", "8mbit")
    send = f"head -c 1000000 /dev/zero > /dev/tcp/{lab.state.addresses['ctl']}/{port}"
    host.run(["bash", "-c", send], check=True)
    seconds = float(sink.communicate(timeout=30)[0])
    lab.slow("node5", None)
    assert seconds > 0.7  # a megabyte at a megabyte per second, less the burst
    assert "tbf" not in host.run(["tc", "qdisc", "show", "dev", "eth0"]).stdout


SINK = """
import socket, time
listener = socket.create_server(("{address}", 0))
print(listener.getsockname()[1], flush=True)
connection, _ = listener.accept()
began = time.monotonic()
while connection.recv(65536):
    pass
print(time.monotonic() - began)
"""


def test_a_host_dies_with_its_guests_and_comes_back_without_them(lab: Lab) -> None:
    name = start_domain(lab, lab.host("node6"))
    assert lab.host("node5").run(["bash", "-c", f"exec 3<>/dev/tcp/{lab.host('node6').address}/16514"]).returncode == 0
    inside = set(lab.host("node6").processes())
    lab.power_off("node6")
    assert not any(Path(f"/proc/{pid}/exe").exists() for pid in inside)
    assert [node.up for node in status.of_lab(lab).nodes if node.name == "node6"] == [False]
    lab.power_on("node6")
    assert name not in lab.host("node6").domains()
    moved = start_domain(lab, lab.host("node5"))
    move(lab, moved, lab.host("node5"), lab.host("node6"))
    lab.host("node6").virsh("destroy", moved)


def test_orphans_are_reaped_at_once(lab: Lab) -> None:
    host = lab.host("node5")
    pid = int(host.run(["sh", "-c", "sleep 60 >/dev/null 2>&1 & echo $!"], check=True).stdout)
    outer = processes.outer_pid(host.first_pid, pid)
    assert outer is not None
    host.run(["kill", "-9", str(pid)], check=True)
    wait_for("the orphan", lambda: not Path(f"/proc/{outer}").exists(), deadline_s=0.5)


def test_a_frozen_daemon_can_be_thawed(lab: Lab) -> None:
    assert lab.kill("redis", signal.SIGSTOP)
    pid = lab.pid_of("redis")
    assert Path(f"/proc/{pid}/stat").read_text().rsplit(") ", 1)[1][0] == "T"
    assert lab.kill("redis", signal.SIGCONT)
    assert lab.pid_of("redis") == pid


def test_a_signal_reaches_what_a_daemon_started(lab: Lab) -> None:
    node = lab.host("node5")
    node.start_daemon("family", ["bash", "-c", "setsid sleep 62 & setsid sleep 63 & wait"])

    def states() -> list[str]:
        pids = processes.with_descendants(node.pid_of("family") or 0)
        return [Path(f"/proc/{pid}/stat").read_text().rsplit(") ", 1)[1][0] for pid in pids]

    wait_for("the family", lambda: len(states()) == 3, deadline_s=5)
    assert node.kill_tree("family", signal.SIGSTOP)
    wait_for("all to stand still", lambda: states() == ["T", "T", "T"], deadline_s=5)
    assert node.kill_tree("family")
    wait_for("their end", lambda: ["sleep", "63"] not in node.processes().values(), deadline_s=5)
    assert not node.kill_tree("family")


def test_killing_what_popen_returns_kills_the_command(lab: Lab) -> None:
    host = lab.host("node5")
    process = host.popen(["sleep", "61"])
    wait_for("the command", lambda: ["sleep", "61"] in host.processes().values(), deadline_s=5)
    process.kill()
    process.wait(5)
    wait_for("its end", lambda: ["sleep", "61"] not in host.processes().values(), deadline_s=5)


@pytest.mark.parametrize("after_s", [0.15, 0.3, 0.45, 0.6, 0.8, 1.0])
def test_down_after_a_crash_in_the_middle_of_up(after_s: float) -> None:
    before = machine()
    lab_id = new_id()
    program = f"from {lab_command.callback.__module__} import lab; lab()"
    up = subprocess.Popen([sys.executable, "-c", program, "up", "--id", lab_id, "--no-daemons"], stdout=subprocess.DEVNULL)
    time.sleep(after_s)
    up.kill()
    up.wait()
    remove(lab_id)
    # a starter that was killed between fork and exec leaves nothing that could still come up
    time.sleep(0.3)
    assert alive(lab_id) == {}
    assert not (lab_root() / lab_id).exists()
    assert machine() == before
    with pytest.raises(NoSuchLab):
        Lab.attach(lab_id)


@pytest.mark.parametrize("after_s", [0.5, 0.6, 0.7, 0.9])
def test_up_after_a_crash_in_the_middle_of_up(after_s: float) -> None:
    lab_id = new_id()
    program = f"from {lab_command.callback.__module__} import lab; lab()"
    up = subprocess.Popen([sys.executable, "-c", program, "up", "--id", lab_id, "--no-daemons"], stdout=subprocess.DEVNULL)
    time.sleep(after_s)
    up.kill()
    up.wait()
    with Lab.throwaway(LabOptions(lab_id=lab_id, daemons=False)) as lab:
        assert all(host.domains() == {} for host in lab.hosts.values())
        assert len(alive(lab_id)) == 2 * len(lab.nodes)


def test_a_lab_without_kvm_runs_its_guests_by_tcg() -> None:
    with Lab.throwaway(LabOptions(lab_id=new_id(), hosts=("node5",), accel="tcg", daemons=False)) as lab:
        host = lab.host("node5")
        assert not lab.accel.is_kvm
        assert "kvm" not in host.virsh("capabilities").stdout.split("<guest>")[1]
        start_domain(lab, host)


@pytest.mark.parametrize("parent", ["/run", "/etc", "/tmp"])
def test_the_lab_root_may_lie_where_a_node_mounts_something_else(parent: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with tempfile.TemporaryDirectory(prefix="lm-", dir=parent) as root:
        monkeypatch.setenv("LMIGRATE_LAB_ROOT", root)
        with Lab.throwaway(LabOptions(lab_id=new_id(), hosts=("node5",), daemons=False)) as lab:
            assert lab.host("node5").domains() == {}
        assert list(Path(root).iterdir()) == []
