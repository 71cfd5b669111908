"""A lab as tests, benchmarks and the command line hold it.

with Lab.throwaway(LabOptions(lab_id="t1", instances="private")) as lab:
    lab.host("node5").run(["virsh", "list"], check=True)
    lab.cut("node6")
"""

from __future__ import annotations

import shutil
import signal
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self

from lmigrate.lab import bringup, processes, services
from lmigrate.lab.accel import Accelerator
from lmigrate.lab.errors import LabError, NoSuchDaemon, NoSuchHost, NoSuchLab
from lmigrate.lab.host import Host
from lmigrate.lab.lock import lab_lock
from lmigrate.lab.network import Network
from lmigrate.lab.node import Node
from lmigrate.lab.options import LabOptions, check_lab_id
from lmigrate.lab.packages import require_root
from lmigrate.lab.paths import DEFAULT_ROOT, LabPaths, lab_root
from lmigrate.lab.services import CTL, FRONT
from lmigrate.lab.state import LabState

Say = Callable[[str], None]
_REMOVE_ATTEMPTS = 10


class Lab:
    """A lab that exists.

    Attributes:
        options: what it was asked to be.
        accel: KVM or TCG, and why.
        ctl: the node with the bridge, Redis, the database server, conductor and beat.
        front: the node with API and Flower, on the machine's own loopback device.
        hosts: the hypervisor hosts by name.
    """

    def __init__(self, paths: LabPaths, state: LabState) -> None:
        self.paths = paths
        self.state = state
        self.options = state.options
        self.accel = Accelerator(state.accel, state.accel_reason)
        self.ctl = Node(paths, CTL, self.env(CTL))
        self.front = Node(paths, FRONT, self.env(FRONT))
        self.hosts = {name: self._make_host(name, index) for index, name in enumerate(state.options.hosts)}

    # -- life -------------------------------------------------------------------------------------

    @classmethod
    def up(cls, options: LabOptions, say: Say = lambda _line: None) -> Self:
        """Start a lab, or what is missing of it; returns when it is ready for work.

        Raises:
            NotRoot, MissingProgram, OptionsDiffer: before anything is touched.
            StartFailed: something did not come up; `down` removes the rest.
        """
        bringup.prepare(options)
        paths = LabPaths.of(options.lab_id)
        with lab_lock(paths.top):
            lab = cls(paths, bringup.remember(paths, options))
            bringup.bring_up(lab, say, daemons=options.daemons)
        return lab

    @classmethod
    @contextmanager
    def throwaway(cls, options: LabOptions, say: Say = lambda _line: None) -> Iterator[Self]:
        """A lab for the length of a ``with`` block; a start that fails leaves nothing behind either."""
        try:
            yield cls.up(options, say)
        finally:
            remove(options.lab_id)

    @classmethod
    def attach(cls, lab_id: str) -> Self:
        """The lab of that id, as it stands.

        Raises:
            NoSuchLab: there is none.
        """
        paths = LabPaths.of(check_lab_id(lab_id))
        return cls(paths, LabState.load(paths))

    def down(self) -> None:
        """End and remove it."""
        remove(self.options.lab_id)

    def __enter__(self) -> Self:
        """For a lab that is up already; :meth:`throwaway` covers a start that fails too."""
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.down()

    # -- parts ------------------------------------------------------------------------------------

    def host(self, name: str) -> Host:
        """
        Raises:
            NoSuchHost: the lab has none of that name.
        """
        try:
            return self.hosts[name]
        except KeyError:
            raise NoSuchHost(lab_id=self.options.lab_id, host=name, hosts=", ".join(self.hosts)) from None

    @property
    def nodes(self) -> dict[str, Node]:
        """Every node by name."""
        return {CTL: self.ctl, **self.hosts, FRONT: self.front}

    @property
    def url(self) -> str:
        """Where the API listens."""
        return self.env()["LMIGRATE_URL"]

    @property
    def flower_url(self) -> str:
        """Where Flower listens."""
        return f"http://127.0.0.1:{self.state.flower_port}"

    @property
    def database_url(self) -> str:
        """The lab's database as reachable from the machine."""
        return services.database_url(self.paths, self.state, inside=False)

    @property
    def broker_url(self) -> str:
        """The lab's Redis as reachable from the machine."""
        return self.env(FRONT)["LMIGRATE_BROKER__URL"]

    @property
    def faults_dir(self) -> Path:
        """The fail points of every daemon of the lab."""
        return self.paths.faults

    def env(self, node: str = FRONT) -> dict[str, str]:
        """The environment of everything in a node; by default of what runs on the machine itself."""
        return services.environment(self.paths, self.state, node)

    # -- daemons ----------------------------------------------------------------------------------

    def node_of(self, daemon: str) -> Node:
        """Where a daemon that exists once (redis, postgresql, conductor, beat, api, flower) runs.

        Raises:
            NoSuchDaemon: there is none of that name, or one on each host.
        """
        for node in (self.ctl, self.front):
            if daemon in services.commands(self.paths, self.state, node.name):
                return node
        raise NoSuchDaemon(node="The centre", daemon=daemon, known="redis, postgresql, conductor, beat, api, flower")

    def start_daemon(self, daemon: str, host: str | None = None, env: Mapping[str, str] | None = None) -> bool:
        """Start a daemon (again); False when it runs already. ``host`` for libvirtd and host.

        Raises:
            NoSuchDaemon: no such daemon there.
        """
        node = self.host(host) if host else self.node_of(daemon)
        known = services.commands(self.paths, self.state, node.name)
        if daemon not in known:
            raise NoSuchDaemon(node=node.name, daemon=daemon, known=", ".join(known))
        own = services.daemon_environment(self.paths, self.state, node.name, daemon)
        return node.start_daemon(daemon, known[daemon], own | dict(env or {}))

    def kill(self, daemon: str, number: int = signal.SIGKILL) -> bool:
        """Send a signal to a daemon that exists once; see :meth:`Node.kill`."""
        return self.node_of(daemon).kill(daemon, number)

    def pid_of(self, daemon: str) -> int | None:
        """The process id of a daemon that exists once; None when it does not run."""
        return self.node_of(daemon).pid_of(daemon)

    # -- faults -----------------------------------------------------------------------------------

    def cut(self, host: str) -> None:
        """Unplug a host's cable: libvirt, Redis and database are all out of its reach."""
        self.network.set_link(self.host(host).index, up=False)

    def mend(self, host: str) -> None:
        """Plug it in again."""
        self.network.set_link(self.host(host).index, up=True)

    def part(self) -> None:
        """Keep the hosts from one another; Redis and database stay in reach of each."""
        self.network.part([host.index for host in self.hosts.values()], is_parted=True)

    def join(self) -> None:
        """Let the hosts reach one another again."""
        self.network.part([host.index for host in self.hosts.values()], is_parted=False)

    def block(self, host: str, service: str) -> None:
        """Cut a host off from one service of the centre: ``redis``, ``postgresql`` or ``tgtd``."""
        self.network.block(self.host(host).first_pid, services.PORTS[service], is_blocked=True)

    def unblock(self, host: str, service: str) -> None:
        """Let it reach that service again."""
        self.network.block(self.host(host).first_pid, services.PORTS[service], is_blocked=False)

    def slow(self, host: str, rate: str | None) -> None:
        """Limit a host's link to ``rate`` (``8mbit``); None lifts the limit."""
        self.network.limit(self.host(host).index, self.host(host).first_pid, rate)

    def power_off(self, host: str) -> None:
        """A host dies with its guests; :meth:`power_on` brings back the host, not the guests."""
        self.host(host).crash()

    def power_on(self, host: str) -> None:
        """Start a host again, with libvirtd, and with its daemon if the lab has daemons."""
        bringup.start_host(self, self.host(host))
        if self.options.daemons:
            self.start_daemon("host", host)

    @property
    def network(self) -> Network:
        """The lab's links."""
        return Network(self.ctl.first_pid)

    def _make_host(self, name: str, index: int) -> Host:
        directory = self.paths.instances(name, self.options.instances)
        return Host(self.paths, name, self.env(name), index=index, address=self.state.addresses[name], instances_dir=directory)


def remove(lab_id: str) -> bool:
    """End everything of a lab and remove its files, whatever state it is in; False when there is none.

    Raises:
        NotRoot: we are not root.
    """
    require_root()
    paths = LabPaths.of(check_lab_id(lab_id))
    try:
        with lab_lock(paths.top, make=False):
            _end_and_delete(paths)
    except NoSuchLab:
        return False
    if paths.top.parent == DEFAULT_ROOT and not any(DEFAULT_ROOT.iterdir()):
        DEFAULT_ROOT.rmdir()
    return True


def _end_and_delete(paths: LabPaths) -> None:
    """More than once: a starter may have been between fork and exec, where it is nobody's yet."""
    for _ in range(_REMOVE_ATTEMPTS):
        for config in set(processes.of_labs(paths.top).values()):
            processes.kill_all_of_node(config)
        shutil.rmtree(paths.top, ignore_errors=True)
        if not paths.top.exists() and not processes.of_labs(paths.top):
            return
    raise LabError(f"{paths.top} cannot be removed: something is mounted there or still writes to it")


def lab_ids() -> list[str]:
    """Every lab of the lab root, also half-made ones."""
    root = lab_root()
    return sorted(path.name for path in root.iterdir() if path.is_dir()) if root.is_dir() else []
