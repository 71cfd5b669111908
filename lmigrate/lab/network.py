"""The lab's network: a bridge in the ``ctl`` node, a veth pair to each host, no way out.

Nothing of it is ever in the machine's own network namespace.
"""

from __future__ import annotations

import json
import subprocess
import zlib
from collections.abc import Iterable, Sequence

from lmigrate.lab.errors import LabError

BRIDGE = "br0"
HOST_DEVICE = "eth0"
_FIRST_HOST = 11
_BLOCK_PREFERENCE = 100  # before the routes


def subnet(lab_id: str) -> int:
    """The third byte of the lab's addresses, 1 to 250."""
    return 1 + zlib.crc32(lab_id.encode()) % 250


def ctl_address(lab_id: str) -> str:
    """Where Redis and PostgreSQL listen."""
    return f"10.77.{subnet(lab_id)}.1"


def host_address(lab_id: str, index: int) -> str:
    """The address of the ``index``-th host, from 0."""
    return f"10.77.{subnet(lab_id)}.{_FIRST_HOST + index}"


def mac_address(index: int) -> str:
    """The hardware address of the ``index``-th host: a host that was switched off and on has the same one.

    With another one, what the others remember of it (ARP) keeps them from it for up to a minute.
    """
    return f"52:54:00:00:00:{_FIRST_HOST + index:02x}"


class Network:
    """Links of a lab, named by host; ``ctl_pid`` is the first process of the ctl node."""

    def __init__(self, ctl_pid: int) -> None:
        self._ctl = ctl_pid

    def ensure_bridge(self, address: str) -> None:
        """The bridge with its address."""
        if not self._has(self._ctl, BRIDGE):
            self._ip(self._ctl, "link", "add", BRIDGE, "type", "bridge", "forward_delay", "0", "stp_state", "0")
        self._ip(self._ctl, "address", "replace", f"{address}/24", "dev", BRIDGE)
        self._ip(self._ctl, "link", "set", BRIDGE, "up")

    def ensure_link(self, host: str, host_pid: int, index: int, address: str) -> None:
        """A veth pair between the bridge and ``host``; one that was cut is mended."""
        port = port_name(index)
        if not self._has(host_pid, HOST_DEVICE):
            if self._has(self._ctl, port):  # left by a host that has died: its peer goes with its namespace, a little later
                self._ip(self._ctl, "link", "delete", port)
            peer = ["peer", "name", HOST_DEVICE, "address", mac_address(index), "netns", str(host_pid)]
            self._ip(self._ctl, "link", "add", port, "type", "veth", *peer)
        self._ip(self._ctl, "link", "set", port, "alias", host)
        self._ip(self._ctl, "link", "set", port, "master", BRIDGE, "up")
        self._ip(host_pid, "address", "replace", f"{address}/24", "dev", HOST_DEVICE)
        self._ip(host_pid, "link", "set", HOST_DEVICE, "up")

    def set_link(self, index: int, *, up: bool) -> None:
        """Cut or mend the cable of the ``index``-th host, at the bridge's end."""
        self._ip(self._ctl, "link", "set", port_name(index), "up" if up else "down")

    def is_link_up(self, index: int) -> bool:
        """Whether the cable of the ``index``-th host is plugged in."""
        found = json.loads(self._ip(self._ctl, "-json", "link", "show", "dev", port_name(index)))
        return "UP" in found[0]["flags"]

    def part(self, indices: Iterable[int], *, is_parted: bool) -> None:
        """Keep hosts from one another, while each still reaches the centre; or let them through again."""
        for index in indices:
            self._ip(self._ctl, "link", "set", "dev", port_name(index), "type", "bridge_slave", "isolated", "on" if is_parted else "off")

    def block(self, host_pid: int, port: int, *, is_blocked: bool) -> None:
        """Let nothing that a host sends to a TCP port get out, also of connections that exist; or let it out again."""
        rule = ["pref", str(_BLOCK_PREFERENCE), "ipproto", "tcp", "dport", str(port), "unreachable"]
        while f"dport {port} unreachable" in self._ip(host_pid, "rule", "list"):
            self._ip(host_pid, "rule", "delete", *rule)
        if is_blocked:
            self._ip(host_pid, "rule", "add", *rule)

    def limit(self, index: int, host_pid: int, rate: str | None) -> None:
        """Limit both directions of a host's link to ``rate`` (tc's notation, such as ``8mbit``); None: no limit."""
        for pid, device in ((host_pid, HOST_DEVICE), (self._ctl, port_name(index))):
            if rate is None:
                self._enter(pid, ["tc", "qdisc", "delete", "dev", device, "root"], check=False)
            else:
                self._enter(
                    pid, ["tc", "qdisc", "replace", "dev", device, "root", "tbf", "rate", rate, "burst", "64kb", "latency", "400ms"]
                )

    def _has(self, pid: int, device: str) -> bool:
        return any(link["ifname"] == device for link in json.loads(self._ip(pid, "-json", "link", "show") or "[]"))

    def _ip(self, pid: int, *arguments: str) -> str:
        return self._enter(pid, ["ip", *arguments])

    def _enter(self, pid: int, argv: Sequence[str], *, check: bool = True) -> str:
        """Run a network command in the network namespace of ``pid`` alone, so that pids mean what they mean here."""
        done = subprocess.run(["nsenter", "--target", str(pid), "--net", "--", *argv], capture_output=True, text=True, check=False)
        if check and done.returncode != 0:
            raise LabError(f"{' '.join(argv)} failed: {done.stderr.strip()}")
        return done.stdout


def port_name(index: int) -> str:
    """The bridge's end of the ``index``-th host's cable (its alias is the host's name)."""
    return f"port{index}"
