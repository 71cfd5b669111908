"""What a lab is asked to be."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Self

from lmigrate.lab.errors import WrongOption

_LAB_ID = re.compile(r"[a-z0-9]([a-z0-9-]{0,18}[a-z0-9])?")
_HOST_NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?")
_RESERVED_NAMES = frozenset({"ctl", "front", "localhost"})
MAX_HOSTS = 64
_CHOICES = {
    "instances": ("shared", "private"),
    "database": ("sqlite", "postgresql"),
    "accel": ("auto", "kvm", "tcg"),
}


@dataclass(frozen=True)
class LabOptions:
    """Everything that may be chosen; equal options mean the same lab.

    Attributes:
        lab_id: name of the lab; directory, addresses and ports come from it.
        hosts: names of the hosts.
        instances: ``shared`` (one directory for all hosts) or ``private`` (one each).
        database: ``sqlite`` or ``postgresql``.
        tls: libvirt and QEMU speak TLS between the hosts; off: plain TCP.
        secure: API, Redis and PostgreSQL speak TLS too, the API asks for a token, Redis has a user for each daemon.
        accel: ``auto`` tries KVM and falls back to TCG; ``kvm`` and ``tcg`` insist.
        memory_mib: memory in MiB that a host admits to have, for hosts that shall look small.
        daemons: start lmigrate's own daemons too, not only libvirtd and the broker.
        env: further settings (``LMIGRATE_…``) for every daemon.
    """

    lab_id: str = "lab"
    hosts: tuple[str, ...] = ("node5", "node6")
    instances: str = "shared"
    database: str = "sqlite"
    tls: bool = True
    secure: bool = False
    accel: str = "auto"
    memory_mib: Mapping[str, int] = field(default_factory=dict)
    daemons: bool = True
    env: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        check_lab_id(self.lab_id)
        if not 1 <= len(self.hosts) <= MAX_HOSTS:
            raise WrongOption(f"a lab has 1 to {MAX_HOSTS} hosts, not {len(self.hosts)}")
        if len(set(self.hosts)) != len(self.hosts):
            raise WrongOption("two hosts of a lab cannot have the same name: {names}", names=", ".join(self.hosts))
        for name in self.hosts:
            if not _HOST_NAME.fullmatch(name) or name in _RESERVED_NAMES:
                raise WrongOption(
                    f"{name!r} cannot be the name of a host: lower-case letters, digits and '-', not {', '.join(sorted(_RESERVED_NAMES))}"
                )
        for option, allowed in _CHOICES.items():
            if getattr(self, option) not in allowed:
                raise WrongOption(f"{option} is one of {', '.join(allowed)}, not {getattr(self, option)!r}")
        for name in self.memory_mib:
            if name not in self.hosts:
                raise WrongOption(f"memory is given for {name}, which is no host of the lab")

    def to_json(self) -> dict[str, Any]:
        """Plain data, for the state file."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """The inverse of :meth:`to_json`."""
        known = {item.name for item in fields(cls)}
        given: dict[str, Any] = {key: tuple(value) if key == "hosts" else value for key, value in data.items() if key in known}
        return cls(**given)

    def difference(self, other: LabOptions) -> str:
        """The options in which ``other`` differs, for a message; empty when it is the same lab."""
        mine, theirs = self.to_json(), other.to_json()
        return ", ".join(f"{key}: {mine[key]!r} not {theirs[key]!r}" for key in mine if key != "daemons" and mine[key] != theirs[key])


def check_lab_id(lab_id: str) -> str:
    """``lab_id`` itself, if it can be one.

    Raises:
        WrongOption: it cannot.
    """
    if not _LAB_ID.fullmatch(lab_id):
        raise WrongOption(f"{lab_id!r} cannot be a lab's id: 1 to 20 lower-case letters, digits and '-'")
    return lab_id
