"""An operator who follows the doctor's commands to the letter, on the hosts of a Cluster."""

from __future__ import annotations

import shlex

from lmigrate.db.clock import utcnow
from lmigrate.db.session import reading
from lmigrate.doctor.advice import Command
from lmigrate.doctor.examine import examine
from lmigrate.doctor.finding import Finding
from lmigrate.migration.resolve import resolve
from lmigrate.states import PowerState
from tests.integration.cluster import Cluster


def diagnose(cluster: Cluster) -> list[Finding]:
    with reading() as session:
        return examine(session, utcnow(), 60)


class OperatorShell:
    """Understands what the doctor says, and nothing else."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._files: dict[tuple[str, str], str] = {}
        self.ran: list[str] = []

    def run(self, command: Command) -> None:
        """
        Raises:
            AssertionError: libvirt, or lmigrate, would refuse the command.
        """
        self.ran.append(f"{command.host}: {command.command}")
        words = shlex.split(command.command)
        match words:
            case ["lmigrate", *rest]:
                assert command.host is None
                self._lmigrate(rest)
            case ["virsh", "-c", "qemu:///system", *rest]:
                assert command.host is not None
                self._virsh(command.host, rest)
            case ["scp", there, path]:
                host, _, file = there.partition(":")
                self._files[command.host or "", path] = self._files[host, file]
            case ["tail", "-n", "3", "$(grep", "-l", _, "/var/log/libvirt/qemu/*.log)"]:
                pass
            case ["systemctl", "status" | "start", "libvirtd", "lmigrate-host"]:
                pass
            case _:
                raise AssertionError(f"not understood: {command.command}")

    def _lmigrate(self, words: list[str]) -> None:
        match words:
            case ["migration", "resolve", number, "--running-on", host]:
                resolve(int(number), host, "alice", self._cluster.mail)
            case ["migration", "resolve", number, "--running-on", host, "--fenced", fenced]:
                resolve(int(number), host, "alice", self._cluster.mail, fenced=fenced)
            case ["migration", "show" | "watch", number]:
                self._cluster.migration(int(number))
            case ["host" | "server", "show", _]:
                pass
            case _:
                raise AssertionError(f"not understood: {words}")
        self._cluster.deliver()

    def _virsh(self, host: str, words: list[str]) -> None:
        hypervisor, world = self._cluster.hypervisor(host), self._cluster.world
        match words:
            case ["domstate", "--reason", _] | ["domstats", "--block", _] | ["domjobinfo", _] | ["dumpxml", _]:
                pass
            case ["qemu-monitor-command", "--hmp", uuid, "info status"]:
                assert world.domain(host, uuid).is_active
            case ["destroy", uuid]:
                assert world.domain(host, uuid).is_active
                hypervisor.destroy(uuid)
            case ["undefine", "--keep-nvram", uuid]:
                assert world.domain(host, uuid).inactive_xml is not None
                hypervisor.undefine(uuid)
            case ["resume", uuid]:
                assert world.domain(host, uuid).power_state is PowerState.PAUSED
                hypervisor.resume(uuid)
            case ["start", uuid]:
                self._start(host, uuid)
            case ["dumpxml", "--inactive", uuid, ">", path]:
                self._files[host, path] = hypervisor.domain_xml(uuid, is_inactive=True)
            case ["define", path]:
                hypervisor.define(self._files[host, path])
            case _:
                raise AssertionError(f"not understood: {words}")

    def _start(self, host: str, uuid: str) -> None:
        domain = self._cluster.world.domain(host, uuid)
        assert domain.inactive_xml is not None
        assert not domain.is_active
        with self._cluster.world.changing(host, uuid):
            domain.active_xml = domain.inactive_xml
            domain.set_state(PowerState.RUNNING, "booted")
