"""A hypervisor host of a lab."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from subprocess import CalledProcessError, CompletedProcess, TimeoutExpired

from lmigrate.lab.errors import LibvirtSilent
from lmigrate.lab.node import Node
from lmigrate.lab.paths import INSTANCES_PATH, LabPaths

_LIST_TIMEOUT_S = 15.0


class Host(Node):
    """A node with its own libvirtd.

    Attributes:
        index: its place in the lab, from 0.
        address: its address in the lab's network.
        instances_path: where guests' directories lie, as the host sees it.
        instances_dir: the same directory as reachable from the machine.
    """

    def __init__(self, paths: LabPaths, name: str, env: Mapping[str, str], *, index: int, address: str, instances_dir: Path) -> None:
        super().__init__(paths, name, env)
        self.index = index
        self.address = address
        self.instances_path = INSTANCES_PATH
        self.instances_dir = instances_dir

    def virsh(self, *arguments: str, check: bool = True, timeout_s: float = 60.0) -> CompletedProcess[str]:
        """Run virsh on the host, against its own libvirtd.

        Raises:
            subprocess.CalledProcessError: ``check`` is set and it failed.
        """
        return self.run(["virsh", "--quiet", "--connect", "qemu:///system", *arguments], check=check, timeout_s=timeout_s)

    def domains(self) -> dict[str, str]:
        """State by name of every domain.

        Raises:
            LibvirtSilent: libvirtd does not answer, or not in time.
        """
        try:
            listed = self.virsh("list", "--all", timeout_s=_LIST_TIMEOUT_S).stdout
        except (CalledProcessError, TimeoutExpired) as error:
            raise LibvirtSilent(host=self.name, reason=str(error.stderr or error).strip()) from error
        # columns are separated by blanks, and a state may have blanks itself ("shut off")
        rows = (line.split(maxsplit=2) for line in listed.splitlines() if line.strip())
        return {name: state.strip() for _, name, state in rows}
