"""Two hosts and a guest: what the conformance tests need of any hypervisor."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

from lmigrate.ids import new_uuid
from lmigrate.virt.fake import FakeHypervisor
from lmigrate.virt.fake_world import FakeWorld
from lmigrate.virt.libvirt_hypervisor import LibvirtHypervisor
from lmigrate.virt.protocol import Hypervisor
from lmigrate.virt.types import MigrateSpec
from lmigrate.virt.xml.destination import DestinationChanges, destination_xml

#: set where the real pair is: a JSON object with the fields of `RealHosts`
VARIABLE = "LMIGRATE_CONFORMANCE"
MEMORY_MIB = 64
Side = Literal["source", "destination"]


#: at 1 MiB/s that is copied for longer than a test looks
DISK_BYTES = 4 << 20
GROWTH_KIB = 12 << 10
#: QEMU needs some 35 MiB itself, and the guest fills 40
FULL_KIB = 70 << 10


@dataclass(frozen=True)
class RealHosts:
    """Where the tests run on real hosts: on ``source``, with ``destination`` in reach of libvirt's TCP."""

    source: str
    destination: str
    virt_type: str
    rom: str  # the tick guest, at the same path on both

    @classmethod
    def from_environment(cls) -> RealHosts | None:
        text = os.environ.get(VARIABLE)
        return None if text is None else cls(**json.loads(text))


class Pair(Protocol):
    """A source, a destination, and guests."""

    source: Hypervisor
    destination: Hypervisor
    destination_uri: str

    def boot(self, *, is_persistent: bool = True, is_paused: bool = False, has_disk: bool = False) -> str:
        """A running guest on the source; its UUID."""

    def begin_pull_backup(self, uuid: str) -> None:
        """Of its disk; it has no end of its own."""

    def warm_up(self) -> None:
        """Wait until a guest has something to copy."""

    def never_end(self) -> None:
        """From now on a copy goes on until it is aborted."""

    def in_the_copy(self, uuid: str, act: Callable[[], None]) -> None:
        """Call ``act`` once, while the guest is copied."""

    def in_post_copy(self, uuid: str, act: Callable[[], None]) -> None:
        """Call ``act`` once, while the rest of its memory follows the guest."""

    def start(self, uuid: str, side: Side) -> None:
        """Start a guest that is only defined."""

    def power_off(self, uuid: str, side: Side) -> None:
        """QEMU ends by itself, in good order."""

    def crash(self, uuid: str) -> None:
        """The source's QEMU dies."""

    def send_away(self, uuid: str) -> None:
        """The source's QEMU sends the memory of a paused guest, and libvirt does not know."""


def spec(pair: Pair, uuid: str, mark: str, *, is_persistent: bool = True, bandwidth_mib_s: int = 0, **more: Any) -> MigrateSpec:
    changes = DestinationChanges(mark, "/nowhere", "/nowhere")
    return MigrateSpec(
        uuid=uuid,
        dest_uri=pair.destination_uri,
        migrate_uri=None,
        destination_xml=destination_xml(pair.source.domain_xml(uuid), changes),
        persistent_xml=destination_xml(pair.source.domain_xml(uuid, is_inactive=True), changes) if is_persistent else None,
        tls=False,
        bandwidth_mib_s=bandwidth_mib_s,
        **more,
    )


def guest_xml(uuid: str, virt_type: str, rom: str | None, disk: Path | None = None) -> str:
    driver = "<driver name='qemu' type='raw'/>"
    vda = f"<disk type='file'>{driver}<source file='{disk}'/><target dev='vda' bus='virtio'/></disk>" if disk else ""
    loader = f"<loader readonly='yes' type='rom'>{rom}</loader>" if rom else ""
    return f"""\
<domain type='{virt_type}'>
  <name>guest-{uuid}</name><uuid>{uuid}</uuid><memory unit='MiB'>{MEMORY_MIB}</memory><vcpu>1</vcpu>
  <os><type arch='x86_64' machine='pc-i440fx-7.2'>hvm</type>{loader}</os>
  <devices><emulator>/usr/bin/qemu-system-x86_64</emulator><memballoon model='none'/>{vda}</devices>
</domain>
"""


class FakePair:
    """In memory."""

    def __init__(self) -> None:
        self.world = FakeWorld("node5", "node6")
        self.may_split = False  # a test has started a guest by hand
        self.source: Hypervisor = FakeHypervisor(self.world, "node5")
        self.destination: Hypervisor = FakeHypervisor(self.world, "node6")
        self.destination_uri = "qemu+tcp://node6/system"

    def boot(self, *, is_persistent: bool = True, is_paused: bool = False, has_disk: bool = False) -> str:
        xml = guest_xml(new_uuid(), "kvm", None, Path("/nowhere/disk") if has_disk else None)
        return self.world.boot("node5", xml, is_persistent=is_persistent, is_paused=is_paused)

    def begin_pull_backup(self, uuid: str) -> None:
        self.world.domain("node5", uuid).begin_backup("pull")

    def warm_up(self) -> None:
        pass

    def never_end(self) -> None:
        self.world.at("copying", lambda move: move.wait_for_abort())

    def in_the_copy(self, uuid: str, act: Callable[[], None]) -> None:
        acts = iter([act])
        self.world.at("copying", lambda move: next(acts, lambda: None)() if move.uuid == uuid else None)

    def in_post_copy(self, uuid: str, act: Callable[[], None]) -> None:
        acts = iter([act])
        self.world.at("post-copy", lambda move: next(acts, lambda: None)() if move.uuid == uuid else None)

    def start(self, uuid: str, side: Side) -> None:
        host, self.may_split = _NAMES[side], True
        self.world.boot(host, self.world.domain(host, uuid).xml)

    def power_off(self, uuid: str, side: Side) -> None:
        self.world.power_off(_NAMES[side], uuid)

    def crash(self, uuid: str) -> None:
        self.world.power_off("node5", uuid, "crashed")

    def send_away(self, uuid: str) -> None:
        self.world.domain("node5", uuid).has_sent_memory = True

    def remove_guests(self) -> None:
        assert self.may_split or self.world.split_brains == []


_NAMES: dict[Side, str] = {"source": "node5", "destination": "node6"}


class LibvirtPair:
    """Real hosts, from inside the source's namespaces."""

    def __init__(self, hosts: RealHosts, directory: Path) -> None:
        self._hosts, self._directory = hosts, directory
        self.destination_uri = f"qemu+tcp://{hosts.destination}/system"
        self.source: Hypervisor = LibvirtHypervisor("qemu:///system", hosts.source, 15)
        self.destination: Hypervisor = LibvirtHypervisor(self.destination_uri, hosts.destination, 15)
        self._uuids: list[str] = []

    def boot(self, *, is_persistent: bool = True, is_paused: bool = False, has_disk: bool = False) -> str:
        uuid = new_uuid()
        self._uuids.append(uuid)
        file = self._directory / f"{uuid}.xml"
        file.write_text(guest_xml(uuid, self._hosts.virt_type, self._hosts.rom, self._disk(uuid) if has_disk else None))
        paused = ["--paused"] if is_paused else []
        commands = [["define", str(file)], ["start", uuid, *paused]] if is_persistent else [["create", str(file), *paused]]
        for command in commands:
            subprocess.run(["virsh", "--quiet", "--connect", "qemu:///system", *command], check=True, capture_output=True, text=True)
        return uuid

    def warm_up(self) -> None:
        """The tick guest has filled a part of its memory, which QEMU's own shows."""
        began_kib, until = self._resident_kib(self._uuids[-1]), time.monotonic() + 60
        while self._resident_kib(self._uuids[-1]) < min(began_kib + GROWTH_KIB, FULL_KIB):
            assert time.monotonic() < until, "the guest does not fill its memory"
            time.sleep(0.05)

    def _resident_kib(self, uuid: str) -> int:
        argv = ["virsh", "--quiet", "--connect", "qemu:///system", "dommemstat", uuid]
        told = subprocess.run(argv, check=True, capture_output=True, text=True).stdout
        return {name: int(value) for name, value in map(str.split, told.splitlines())}["rss"]

    def _disk(self, uuid: str) -> Path:
        """Beside the guest's ROM, where QEMU may write."""
        path = Path(self._hosts.rom).parent / f"{uuid}.raw"
        path.write_bytes(bytes(DISK_BYTES))
        return path

    def begin_pull_backup(self, uuid: str) -> None:
        file, beside = self._directory / f"{uuid}-backup.xml", Path(self._hosts.rom).parent
        server = f"<server transport='unix' socket='{beside}/{uuid[:8]}.sock'/>"
        disk = f"<disk name='vda' type='file'><scratch file='{beside}/{uuid}.scratch'/></disk>"
        file.write_text(f"<domainbackup mode='pull'>{server}<disks>{disk}</disks></domainbackup>")
        self._virsh("source", "backup-begin", uuid, str(file))

    def never_end(self) -> None:
        """The guest's memory is filled, and the tests ask for 1 MiB/s."""

    def start(self, uuid: str, side: Side) -> None:
        self._virsh(side, "start", uuid)

    def power_off(self, uuid: str, side: Side) -> None:
        self._virsh(side, "qemu-monitor-command", "--hmp", uuid, "quit", check=False)  # QEMU may be gone before it answers

    def crash(self, uuid: str) -> None:
        os.kill(int(Path(f"/run/libvirt/qemu/guest-{uuid}.pid").read_text()), signal.SIGKILL)

    def send_away(self, uuid: str) -> None:
        with socket.create_server(("127.0.0.1", 0)) as listener:  # QEMU may not start a program to which it could write
            threading.Thread(target=_swallow, args=(listener,), daemon=True).start()
            order = {"execute": "migrate", "arguments": {"uri": f"tcp:127.0.0.1:{listener.getsockname()[1]}"}}
            self._virsh("source", "qemu-monitor-command", uuid, json.dumps(order))
            self._wait_sent(uuid)

    def _wait_sent(self, uuid: str) -> None:
        until = time.monotonic() + 60
        while not self.source.has_sent_memory(uuid):
            assert time.monotonic() < until, "the memory is not sent"
            time.sleep(0.05)

    def _virsh(self, side: Side, *arguments: str, check: bool = True) -> None:
        uri = "qemu:///system" if side == "source" else self.destination_uri
        subprocess.run(["virsh", "--quiet", "--connect", uri, *arguments], check=check, capture_output=True, text=True)

    def in_the_copy(self, uuid: str, act: Callable[[], None]) -> None:
        def watch() -> None:
            while self.source.job(uuid).memory_total_bytes == 0:
                time.sleep(0.02)
            act()

        threading.Thread(target=watch, daemon=True).start()

    def in_post_copy(self, uuid: str, act: Callable[[], None]) -> None:
        def watch() -> None:
            while not all(_reason(side, uuid) == "postcopy" for side in (self.source, self.destination)):
                time.sleep(0.02)
            act()

        threading.Thread(target=watch, daemon=True).start()

    def remove_guests(self) -> None:
        for uuid in self._uuids:
            for hypervisor in (self.source, self.destination):
                hypervisor.destroy(uuid)
                hypervisor.undefine(uuid)


def _swallow(listener: socket.socket) -> None:
    """Take whatever the first to connect sends."""
    connection, _ = listener.accept()
    with connection:
        while connection.recv(1 << 20):
            pass


def _reason(hypervisor: Hypervisor, uuid: str) -> str | None:
    found = hypervisor.domain(uuid)
    return None if found is None else found.reason
