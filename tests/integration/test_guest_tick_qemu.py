"""The tick guest under plain QEMU: it counts, it dirties, it moves, and it notices lost memory."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from lmigrate.lab.guests.recorder import Recorder
from lmigrate.lab.guests.tick_image import TickParameters, as_rom, assemble, patch

Start = Callable[..., "Machine"]


@dataclass
class Machine:
    directory: Path
    process: subprocess.Popen[bytes]

    @property
    def console(self) -> Path:
        return self.directory / "console.log"

    def connect(self, name: str) -> socket.socket:
        connection = socket.socket(socket.AF_UNIX)
        connection.settimeout(20)
        until = time.monotonic() + 20
        while connection.connect_ex(str(self.directory / name)) != 0:
            assert time.monotonic() < until, f"QEMU does not serve {name}"
            time.sleep(0.02)
        return connection

    def ask(self, *commands: tuple[str, dict[str, Any]]) -> dict[str, Any]:
        """Give QMP commands; the answer to the last one."""
        answer: dict[str, Any] = {}
        with self.connect("qmp") as connection, connection.makefile("rw") as channel:
            channel.readline()
            for name, arguments in (("qmp_capabilities", {}), *commands):
                channel.write(json.dumps({"execute": name, "arguments": arguments}) + "\n")
                channel.flush()
                answer = {}
                while not answer.keys() & {"return", "error"}:
                    answer = json.loads(channel.readline())
                assert "error" not in answer, answer
        return dict(answer["return"])

    def write_memory(self, address: int, data: bytes) -> None:
        with self.connect("gdb") as connection:
            for text in (f"M{address:x},{len(data):x}:{data.hex()}", "D"):  # write, let go
                connection.sendall(f"${text}#{sum(text.encode()) % 256:02x}".encode())
                received = b""
                while b"OK#" not in received:
                    more = connection.recv(64)
                    assert more, received
                    received += more
                connection.sendall(b"+")


@pytest.fixture(scope="session")
def image(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return assemble(tmp_path_factory.mktemp("tick"))


@pytest.fixture
def start(tmp_path: Path, image: bytes) -> Iterator[Start]:
    """Start a machine with a tick guest."""
    machines: list[Machine] = []

    def start(parameters: TickParameters, *more: str, accel: str = "tcg", firmware: str = "rom") -> Machine:
        directory = tmp_path / f"machine{len(machines)}"
        directory.mkdir()
        boot = directory / firmware
        patched = patch(image, parameters)
        boot.write_bytes(as_rom(patched) if firmware == "rom" else patched.ljust(1 << 20, b"\0"))
        options = ["-bios", str(boot)] if firmware == "rom" else ["-drive", f"file={boot},format=raw,if=virtio"]
        argv = ["qemu-system-x86_64", "-accel", accel, "-m", "64", "-nodefaults", "-display", "none", *options, *more]
        argv += ["-chardev", f"file,id=console,append=on,path={directory}/console.log", "-serial", "chardev:console"]
        argv += ["-qmp", f"unix:{directory}/qmp,server=on,wait=off", "-gdb", f"unix:{directory}/gdb,server=on,wait=off"]
        machines.append(Machine(directory, subprocess.Popen(argv)))
        return machines[-1]

    yield start
    for machine in machines:
        machine.process.kill()
        machine.process.wait()


@pytest.mark.parametrize("firmware", ["rom", "disk"])
def test_it_counts_in_time_and_idles_in_between(start: Start, firmware: str) -> None:
    machine = start(TickParameters(rate_hz=20), firmware=firmware)
    with Recorder({"here": machine.console}) as recorder:
        recorder.wait_until(2)
        before, used_before_s = time.monotonic(), cpu_time_s(machine)
        recorder.wait_ticks(40)
        passed_s, used_s = time.monotonic() - before, cpu_time_s(machine) - used_before_s
        report = recorder.report(since_s=before)
    assert report.is_unbroken, report
    assert report.period_ms == pytest.approx(50, rel=0.1)
    assert used_s < 0.25 * passed_s


@pytest.mark.kvm
@pytest.mark.parametrize("firmware", ["rom", "disk"])
def test_it_counts_under_kvm(start: Start, firmware: str) -> None:
    machine = start(TickParameters(rate_hz=10), accel="kvm", firmware=firmware)
    with Recorder({"here": machine.console}) as recorder:
        recorder.wait_until(10, timeout_s=60)  # a BIOS may be interpreted
        assert recorder.report().is_unbroken


def test_it_dirties_memory_at_the_wanted_rate(start: Start) -> None:
    machine = start(TickParameters(rate_hz=50, dirty_mib=16, dirty_mib_per_s=20))
    with Recorder({"here": machine.console}) as recorder:
        recorder.wait_until(10)
        before = time.monotonic()
        recorder.wait_ticks(100)
        report = recorder.report(since_s=before)
    assert report.is_unbroken, report
    assert report.dirtied_mib_per_s == pytest.approx(20, rel=0.25)


def test_it_goes_on_where_it_was_after_a_migration(start: Start, tmp_path: Path) -> None:
    parameters = TickParameters(rate_hz=50, dirty_mib=8, dirty_mib_per_s=10, fill_mib=8)
    source = start(parameters)
    destination = start(parameters, "-incoming", f"unix:{tmp_path}/incoming")
    with Recorder({"source": source.console, "destination": destination.console}) as recorder:
        recorder.wait_until(10)
        destination.connect("qmp").close()
        source.ask(("migrate", {"uri": f"unix:{tmp_path}/incoming"}))
        recorder.wait_ticks(100)
        status = source.ask(("query-migrate", {}))
        report = recorder.report()
    assert status["status"] == "completed"
    assert report.hosts == ("source", "destination")
    assert report.is_unbroken, report
    assert report.counter_first == 1
    assert recorder.heard[-1].line.pages > recorder.heard[0].line.pages


@pytest.mark.parametrize("machine_type", ["pc", "q35"])
@pytest.mark.parametrize("firmware", ["rom", "disk"])
def test_it_switches_itself_off_at_the_set_count(start: Start, machine_type: str, firmware: str) -> None:
    machine = start(TickParameters(rate_hz=50, poweroff_at=20), "-machine", machine_type, firmware=firmware)
    with Recorder({"here": machine.console}) as recorder:
        assert machine.process.wait(20) == 0
    assert recorder.report().counter_last == 20


@pytest.mark.parametrize("machine_type", ["pc", "q35"])
def test_it_obeys_the_power_button(start: Start, machine_type: str) -> None:
    machine = start(TickParameters(rate_hz=50), "-machine", machine_type)
    with Recorder({"here": machine.console}) as recorder:
        recorder.wait_until(5)
        machine.ask(("system_powerdown", {}))
        assert machine.process.wait(20) == 0


def test_it_notices_a_page_that_changed(start: Start) -> None:
    machine = start(TickParameters(rate_hz=50, fill_mib=1))
    with Recorder({"here": machine.console}) as recorder:
        recorder.wait_until(5)
        machine.write_memory(0x200000, bytes(8))
        recorder.wait_ticks(10)
        assert recorder.report().bad > 0


def cpu_time_s(machine: Machine) -> float:
    user, system = Path(f"/proc/{machine.process.pid}/stat").read_text().rsplit(")", 1)[1].split()[11:13]
    return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")
