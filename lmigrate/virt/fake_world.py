"""Several fake hosts that see each other, all in memory: where FakeHypervisors live.

world = FakeWorld("node5", "node6")
world.boot("node5", xml)
world.at("copying", lambda move: move.wait_for_abort())
"""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from lmigrate.errors import HypervisorTimeout, HypervisorUnavailable
from lmigrate.states import PowerState
from lmigrate.virt.fake_domain import FakeDomain
from lmigrate.virt.fake_move import Move
from lmigrate.virt.types import Secret
from lmigrate.virt.xml.document import parse

Hook = Callable[[Move], None]
Changed = Callable[[str], None]


class FakeHost:
    """What one host has."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.domains: dict[str, FakeDomain] = {}
        self.listeners: list[Changed] = []
        self.secrets: dict[str, Secret] = {}
        self.is_hung = False  # libvirtd does not answer any more
        self.is_unreachable = False  # libvirtd is away, also for the other hosts
        self.unfit_cpu: str | None = None  # why no guest's CPU can run here

    def check_answers(self, call: str) -> None:
        """
        Raises:
            HypervisorTimeout, HypervisorUnavailable: as libvirt would let us know.
        """
        if self.is_hung:
            raise HypervisorTimeout(host=self.name, call=call, deadline_s="15")
        if self.is_unreachable:
            raise HypervisorUnavailable(host=self.name, reason="Failed to connect socket: Connection refused")


class FakeWorld:
    """All hosts, one lock, and what is to happen at which moment of a move.

    Attributes:
        iterations: how often a copy goes over the guest's memory.
        downtime_ms: what QEMU measures at switchover.
        copy_disk: copies a disk's content from the source's path to the destination's.
        split_brains: moments at which a guest ran on two hosts; must stay empty.
        is_parted: the hosts do not reach one another; a post-copy breaks, nothing new begins.
        halves_ended: halves of a post-copy that somebody ended; must stay empty.
        lost: moments at which no QEMU held a guest that nobody had stopped; must stay empty.
    """

    def __init__(self, *names: str) -> None:
        self.lock = threading.RLock()
        self.hosts = {name: FakeHost(name) for name in names}
        self.iterations = 3
        self.downtime_ms = 17
        self.copy_disk: Callable[[Path, Path], None] = copy_bytes
        self.split_brains: list[str] = []
        self.lost: list[str] = []
        self.is_parted = False
        self.halves_ended: list[str] = []
        self._expected: set[str] = set()  # guests that nobody has stopped
        self._hooks: dict[str, list[Hook]] = defaultdict(list)

    def boot(self, host: str, xml: str, *, is_persistent: bool = True, is_paused: bool = False) -> str:
        """Start a guest from ``xml``; its UUID."""
        uuid = parse(xml).findtext("./uuid") or ""
        state = (PowerState.PAUSED, "user") if is_paused else (PowerState.RUNNING, "booted")
        with self.changing(host, uuid):
            self.hosts[host].domains[uuid] = FakeDomain(uuid, xml, xml if is_persistent else None, *state)
            self._expected.add(uuid)
        return uuid

    def power_off(self, host: str, uuid: str, reason: str = "shutdown") -> None:
        """The guest ends by itself, or somebody ends it."""
        with self.changing(host, uuid):
            self._expected.discard(uuid)
            domains = self.hosts[host].domains
            if uuid in domains and not domains[uuid].stop(reason):
                del domains[uuid]

    def at(self, moment: str, hook: Hook) -> None:
        """Call ``hook(move)`` at a moment of every move; what it raises, the move fails with.

        Moments: begin, copying (after each iteration), post-copy (before each part that follows the guest),
        switchover (nobody runs the guest), finished (it has moved,
        libvirt's call has not returned).
        """
        self._hooks[moment].append(hook)

    def reach(self, moment: str, move: Move) -> None:
        """Run the hooks of a moment, outside the lock."""
        for hook in list(self._hooks[moment]):
            hook(move)

    def reset_hooks(self) -> None:
        """From now on every move goes well."""
        self._hooks.clear()

    def where(self, uuid: str) -> dict[str, str]:
        """State and reason by host: ``{"node5": "running (booted)"}``."""
        with self.lock:
            found = {name: host.domains[uuid] for name, host in self.hosts.items() if uuid in host.domains}
            return {name: f"{domain.power_state.value} ({domain.reason})" for name, domain in found.items()}

    def domain(self, host: str, uuid: str) -> FakeDomain:
        """
        Raises:
            KeyError: the host does not have it.
        """
        return self.hosts[host].domains[uuid]

    @contextmanager
    def changing(self, host: str, uuid: str) -> Iterator[None]:
        """Change a domain under the lock; then tell the listeners, and look whether all is still well."""
        with self.lock:
            yield
            self._look(uuid)
            listeners = list(self.hosts[host].listeners)
        for changed in listeners:
            changed(uuid)

    def _look(self, uuid: str) -> None:
        domains = [(host.name, host.domains[uuid]) for host in self.hosts.values() if uuid in host.domains]
        running = [name for name, domain in domains if domain.is_running]
        if len(running) > 1:
            self.split_brains.append(f"{uuid} runs on {' and '.join(running)}")
        if uuid in self._expected and not any(domain.is_active for _, domain in domains):
            self.lost.append(f"{uuid} is nowhere")


def copy_bytes(source: Path, destination: Path) -> None:
    """Copy a file's content into an existing file."""
    with destination.open("r+b") as file:
        file.write(source.read_bytes())
        file.truncate()
