"""A real Ceph cluster of the smallest size: one monitor, one OSD that keeps everything in memory, one pool."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from lmigrate import ids

POOL, USER = "vms", "lmigrate"
PROGRAMS = ["ceph", "ceph-authtool", "ceph-mon", "ceph-osd", "monmaptool", "rbd"]
_OSD_BYTES = 256 << 20

#: v1 only: libvirt's <host port> means that protocol.  Without a manager: RBD needs none
_CONF = """\
[global]
fsid = {fsid}
mon host = [v1:{address}:{port}]
public addr = {address}
cluster addr = {address}
ms bind msgr2 = false
ms bind port min = {first_port}
ms bind port max = {last_port}
auth cluster required = cephx
auth service required = cephx
auth client required = cephx
auth allow insecure global id reclaim = false
keyring = {top}/keyring
run dir = {top}
pid file = {top}/$name.pid
admin socket = {top}/$name.asok
log file = {top}/$name.log
mon data = {top}/mon
mon data avail crit = 1
mon data avail warn = 2
mon allow pool size one = true
mon warn on pool no redundancy = false
osd data = {top}/osd
osd objectstore = memstore
memstore device bytes = {osd_bytes}
osd crush chooseleaf type = 0
osd pool default size = 1
osd pool default min size = 1
"""

_CAPABILITIES = {
    "mon.": {"mon": "allow *"},
    "client.admin": {"mon": "allow *", "osd": "allow *"},
    "osd.0": {"mon": "allow profile osd", "osd": "allow *"},
    # as docs/backends/rbd.md tells operators
    f"client.{USER}": {"mon": "allow *", "osd": f"profile rbd pool={POOL}"},
}


@dataclass(frozen=True)
class CephCluster:
    """Its files lie below ``top``; ``run`` and ``start`` say where its commands and its two daemons run."""

    top: Path
    address: str
    port: int
    run: Callable[[Sequence[str]], object]
    start: Callable[[str, Sequence[str]], object]

    @property
    def conf(self) -> Path:
        """For every command and client."""
        return self.top / "ceph.conf"

    def up(self) -> None:
        """Make it, and start it; commands of clients wait until it is ready."""
        fsid, osd = ids.new_uuid(), ids.new_uuid()
        for name in ("mon", "osd"):
            (self.top / name).mkdir(parents=True)
        last_port = self.port + 20
        values = {"fsid": fsid, "address": self.address, "port": self.port, "first_port": self.port + 1, "last_port": last_port}
        self.conf.write_text(_CONF.format(**values, top=self.top, osd_bytes=_OSD_BYTES))
        self._make_keys()
        monmap, keyring = str(self.top / "monmap"), str(self.top / "keyring")
        self.run(["monmaptool", "--create", "--addv", "a", f"[v1:{self.address}:{self.port}]", "--fsid", fsid, monmap])
        self.run(self._of("ceph-mon", "-i", "a", "--mkfs", "--monmap", monmap, "--keyring", keyring))
        self.start("ceph-mon", self._of("ceph-mon", "-i", "a", "-f"))
        self.ceph("osd", "new", osd)
        self.run(self._of("ceph-osd", "-i", "0", "--mkfs", "--osd-uuid", osd, "--keyring", keyring, "--no-mon-config"))
        self.start("ceph-osd", self._of("ceph-osd", "-i", "0", "-f"))
        self.ceph("osd", "pool", "create", POOL, "8")
        self.ceph("osd", "pool", "application", "enable", POOL, "rbd")

    def ceph(self, *words: str) -> None:
        """One command of the administrator."""
        self.run(self._of("ceph", "--connect-timeout", "60", *words))

    def _make_keys(self) -> None:
        keyring = str(self.top / "keyring")
        for entity, allowed in _CAPABILITIES.items():
            capabilities = [word for daemon, what in allowed.items() for word in ("--cap", daemon, what)]
            create = [] if Path(keyring).exists() else ["--create-keyring"]
            self.run(["ceph-authtool", keyring, *create, "--gen-key", "--name", entity, *capabilities])

    def _of(self, program: str, *words: str) -> list[str]:
        return [program, "--conf", str(self.conf), *words]


def run_here(argv: Sequence[str]) -> None:
    """Run a command on this machine.

    Raises:
        RuntimeError: it failed, or had not ended after two minutes.
    """
    try:
        done = subprocess.run(list(argv), capture_output=True, text=True, check=False, timeout=120)
    except subprocess.TimeoutExpired as error:
        raise RuntimeError(f"{argv}: no end") from error
    if done.returncode != 0:
        raise RuntimeError(f"{argv}: {done.stderr}")
