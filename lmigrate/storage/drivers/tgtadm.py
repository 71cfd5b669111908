"""tgtadm: the commands that the driver needs, and its listing as values."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from lmigrate import shell


@dataclass
class Target:
    """One target as `tgtadm --op show --mode target` lists it."""

    tid: int
    name: str
    initiators: set[str] = field(default_factory=set)  # ACL by initiator name
    addresses: set[str] = field(default_factory=set)  # ACL by address
    accounts: list[str] = field(default_factory=list)  # CHAP, in the order of tgtd's own array
    sessions: list[tuple[int, int, str]] = field(default_factory=list)  # session, connection, initiator
    lun_sizes: dict[int, int] = field(default_factory=dict)  # LUN → MiB as told
    lun_paths: dict[int, str] = field(default_factory=dict)  # LUN → backing file or device


class Tgtadm:
    """One tgtd.  Raises CommandFailed."""

    def __init__(self, control_port: int = 0, timeout_s: float = 10.0) -> None:
        self._base = ["tgtadm", *(["--control-port", str(control_port)] if control_port else []), "--lld", "iscsi"]
        self._timeout_s = timeout_s

    def targets(self) -> dict[str, Target]:
        """Every target, by name."""
        return {target.name: target for target in parse_targets(self._run("show", "target"))}

    def run(self, operation: str, mode: str, **options: str | int | None) -> None:
        """One change, as in ``run("bind", "target", tid=1, initiator_name="iqn…")``; None for an option without a value."""
        self._run(operation, mode, **options)

    def accounts(self) -> set[str]:
        """Every CHAP account."""
        lines = self._run("show", "account").splitlines()
        return {line.strip() for line in lines if line.startswith((" ", "\t"))}

    def _run(self, operation: str, mode: str, **options: str | int | None) -> str:
        pairs = [(f"--{name.replace('_', '-')}", value) for name, value in options.items()]
        words = [word for name, value in pairs for word in ([name] if value is None else [name, str(value)])]
        hidden = [str(options["password"])] if "password" in options else []
        return shell.run([*self._base, "--op", operation, "--mode", mode, *words], timeout_s=self._timeout_s, hidden=hidden)


_TARGET = re.compile(r"Target (\d+): (\S+)")
_SECTION = re.compile(r"    (\S[^:]*):")
_SESSION = re.compile(r"\s+I_T nexus: (\d+)")
_INITIATOR = re.compile(r"\s+Initiator: (\S+)")
_CONNECTION = re.compile(r"\s+Connection: (\d+)")
_LUN = re.compile(r"\s+LUN: (\d+)")
_SIZE = re.compile(r"\s+Size: (\d+) MB")
_PATH = re.compile(r"\s+Backing store path: (.+)")


def parse_targets(listing: str) -> Iterator[Target]:
    """Targets from tgtadm's listing (tgt 1.0.85)."""
    reading: _Reading | None = None
    for line in listing.splitlines():
        if found := _TARGET.match(line):
            if reading is not None:
                yield reading.target
            reading = _Reading(Target(int(found[1]), found[2]))
        elif reading is not None:
            reading.take(line)
    if reading is not None:
        yield reading.target


@dataclass
class _Reading:
    """A target of which the lines so far have been read."""

    target: Target
    section: str = ""
    session: int = 0
    initiator: str = ""
    lun: int = 0

    def take(self, line: str) -> None:
        """One more line."""
        if found := _SECTION.match(line):
            self.section = found[1]
        elif self.section == "ACL information" and line.strip():
            self._take_admitted(line.strip())
        elif self.section == "Account information" and line.strip():
            self.target.accounts.append(line.strip().removesuffix(" (outgoing)"))
        elif self.section == "LUN information":
            self._take_lun(line)
        else:
            self._take_session(line)

    def _take_admitted(self, name: str) -> None:
        (self.target.initiators if name.startswith("iqn.") else self.target.addresses).add(name)

    def _take_lun(self, line: str) -> None:
        if found := _LUN.match(line):
            self.lun = int(found[1])
        elif found := _SIZE.match(line):
            self.target.lun_sizes[self.lun] = int(found[1])
        elif found := _PATH.match(line):
            self.target.lun_paths[self.lun] = found[1]

    def _take_session(self, line: str) -> None:
        if found := _SESSION.match(line):
            self.session = int(found[1])
        elif found := _INITIATOR.match(line):
            self.initiator = found[1]
        elif found := _CONNECTION.match(line):
            self.target.sessions.append((self.session, int(found[1]), self.initiator))
