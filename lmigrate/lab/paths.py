"""Where a lab keeps its files: one directory, and nothing outside it."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from lmigrate.lab.errors import LabError

DEFAULT_ROOT = Path("/var/lib/lmigrate-lab")
INSTANCES_PATH = Path("/var/lib/lmigrate/instances")  # as the hosts see it
_MAX_SOCKET_PATH = 100  # the kernel allows 107 bytes


def lab_root() -> Path:
    """The directory that holds all labs; ``LMIGRATE_LAB_ROOT`` overrides it."""
    return Path(os.environ.get("LMIGRATE_LAB_ROOT", DEFAULT_ROOT)).absolute()


@dataclass(frozen=True)
class LabPaths:
    """The files of one lab, as seen from outside its namespaces."""

    top: Path

    @classmethod
    def of(cls, lab_id: str) -> LabPaths:
        """The paths of lab ``lab_id``, whether it exists or not.

        Raises:
            LabError: the lab root is so deep that UNIX sockets in it could not be reached.
        """
        paths = cls(lab_root() / lab_id)
        if len(bytes(paths.control_socket("x" * 32))) > _MAX_SOCKET_PATH:
            raise LabError(f"{paths.top} is too long a path for UNIX sockets; set LMIGRATE_LAB_ROOT to a shorter one")
        return paths

    @property
    def state(self) -> Path:
        """Options, ports and passwords; readable by root only."""
        return self.top / "state.json"

    @property
    def certificates(self) -> Path:
        """The lab's certificate authority."""
        return self.top / "ca"

    @property
    def token(self) -> Path:
        """The lab's own token for its API, when that asks for one."""
        return self.top / "token"

    @property
    def faults(self) -> Path:
        """Fail points of all daemons."""
        return self.top / "faults"

    @property
    def volumes(self) -> Path:
        """Backing files of the volumes that tgtd serves."""
        return self.top / "volumes"

    @property
    def logs(self) -> Path:
        """One file per node and daemon."""
        return self.top / "log"

    @property
    def redis(self) -> Path:
        """Redis' configuration, socket and data."""
        return self.top / "redis"

    @property
    def redis_socket(self) -> Path:
        """Redis, for what runs on the machine."""
        return self.redis / "redis.sock"

    @property
    def postgresql(self) -> Path:
        """PostgreSQL's data and sockets."""
        return self.top / "postgresql"

    @property
    def sqlite(self) -> Path:
        """The database, unless it is PostgreSQL."""
        return self.top / "database" / "lmigrate.sqlite"

    def node(self, name: str) -> Path:
        """Everything that belongs to one node alone."""
        return self.top / "nodes" / name

    def init_config(self, name: str) -> Path:
        """What the node's first process is to do; its processes are recognised by this path."""
        return self.node(name) / "init.json"

    def control_socket(self, name: str) -> Path:
        """Where the node's first process takes requests."""
        return self.node(name) / "control.sock"

    def log(self, name: str, daemon: str) -> Path:
        """What a daemon has written to its standard output and error."""
        return self.logs / f"{name}-{daemon}.log"

    def instances(self, host: str, kind: str) -> Path:
        """What ``host`` sees as its instances path; the same for all hosts when ``kind`` is ``shared``."""
        return self.top / "instances" / ("shared" if kind == "shared" else host)
