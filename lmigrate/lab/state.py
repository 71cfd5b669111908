"""What is remembered of a lab: its options, ports and passwords.

Which processes run is not remembered but looked up, so that it cannot be wrong after a crash.
"""

from __future__ import annotations

import json
import secrets
import socket
import zlib
from dataclasses import asdict, dataclass, fields
from typing import Self

from lmigrate import crypto
from lmigrate.lab import accel, files, network
from lmigrate.lab.errors import LabError, NoSuchLab
from lmigrate.lab.options import LabOptions
from lmigrate.lab.paths import LabPaths, lab_root

_FIRST_PORT, _PORTS = 20000, 10000


@dataclass(frozen=True)
class LabState:
    """The facts of one lab; written once, when it is first made."""

    options: LabOptions
    accel: str
    accel_reason: str
    api_port: int
    flower_port: int
    redis_password: str
    database_password: str
    flower_password: str
    secret_key: str

    @classmethod
    def make(cls, options: LabOptions) -> Self:
        """Choose what the options leave open."""
        try:
            chosen = accel.choose(options.accel)
        except OSError as error:
            raise LabError(f"--accel kvm: KVM does not work here: {error}") from error
        api_port = free_port(options.lab_id)
        drawn = [*(secrets.token_urlsafe(18) for _ in range(3)), crypto.new_key()]
        return cls(options, chosen.name, chosen.reason, api_port, free_port(options.lab_id, above=api_port), *drawn)

    @classmethod
    def load(cls, paths: LabPaths) -> Self:
        """The state of an existing lab.

        Raises:
            NoSuchLab: there is none (or only the beginning of one).
            LabError: another version of lmigrate made it.
        """
        try:
            data = json.loads(paths.state.read_text())
        except FileNotFoundError as error:
            raise NoSuchLab(lab_id=paths.top.name, root=lab_root()) from error
        if set(data) != {item.name for item in fields(cls)}:
            raise LabError(
                f"{paths.state} is another version's. `lmigrate lab down --id {paths.top.name}` removes the lab that it describes"
            )
        return cls(**(data | {"options": LabOptions.from_json(data["options"])}))

    def save(self, paths: LabPaths) -> None:
        """Write it so that a reader sees all of it or none."""
        data = asdict(self) | {"options": self.options.to_json()}
        files.write(paths.state, json.dumps(data, indent=1), files.PRIVATE)

    @property
    def addresses(self) -> dict[str, str]:
        """Address by name, of the hosts and of ``ctl``."""
        hosts = {name: network.host_address(self.options.lab_id, index) for index, name in enumerate(self.options.hosts)}
        return {"ctl": network.ctl_address(self.options.lab_id)} | hosts


def free_port(lab_id: str, *, above: int = 0) -> int:
    """A free TCP port on the loopback device, found from the lab's id."""
    start = _FIRST_PORT + zlib.crc32(lab_id.encode()) % _PORTS
    for port in range(max(start, above + 1), _FIRST_PORT + 2 * _PORTS):
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise LabError("no free TCP port on the loopback device")
