"""One backend of each kind, as the conformance suite sees it: the driver, how hosts come in, how the storage goes away."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Self
from unittest import mock

from lmigrate import ids, shell
from lmigrate.config import CinderBackend, IscsiTgtBackend, LocalBackend, NbdBackend, RbdBackend, SharedDirectoryBackend
from lmigrate.lab.certificates import CertificateAuthority, install
from lmigrate.storage import login
from lmigrate.storage.drivers.base import ConnectionInfo, Connector, Driver, VolumeRef
from lmigrate.storage.drivers.cinder import CinderDriver
from lmigrate.storage.drivers.directory import LocalDriver, SharedDirectoryDriver
from lmigrate.storage.drivers.iscsi_tgt import IscsiTgtDriver
from lmigrate.storage.drivers.nbd import NbdDriver
from lmigrate.storage.drivers.rbd import RbdDriver
from tests.ceph_cluster import POOL, PROGRAMS, USER, CephCluster
from tests.fakes.ceph import FakeCeph
from tests.fakes.cinder import FakeCinder, serving
from tests.fakes.san import FakeSan

BACKEND = "store1"
ADDRESS = "127.0.0.1"
HOSTS = ("node5", "node6", "stranger")


def connector(host: str) -> Connector:
    """A host's side."""
    return Connector(host=host, initiator=f"iqn.2026-11.org.lmigrate.host:{host}", address=ADDRESS)


class Case(ABC):
    """A backend under test.

    Attributes:
        driver: over the real thing.
        has_access_control: hosts are told apart at all.
        has_secrets: each attachment has a password of its own.
        is_real: what the driver answers can be opened from here.
    """

    driver: Driver
    has_access_control = True
    has_secrets = False
    is_real = True

    def __init__(self) -> None:
        self.instance = ids.new_uuid()

    def grant(self, volume: VolumeRef, host: str, attachment: str) -> ConnectionInfo:
        """Let a host in."""
        return self.driver.grant(volume, connector(host), attachment, instance_uuid=self.instance)

    def revoke(self, volume: VolumeRef, host: str, attachment: str) -> None:
        """Shut a host out."""
        self.driver.revoke(volume, connector(host), attachment, instance_uuid=self.instance)

    def identity(self, host: str) -> str:
        """How the storage calls a host in `Driver.granted`."""
        return connector(host).initiator

    def why_refused(self, info: ConnectionInfo, host: str) -> str | None:
        """Try to open a volume as ``host`` would."""
        return login.why_refused(info, self.pki(host))

    def stolen(self, info: ConnectionInfo, host: str) -> ConnectionInfo:
        """What ``host`` would try if it had got hold of another's connection info."""
        return replace(info, initiator=connector(host).initiator) if info.initiator else info

    def pki(self, host: str) -> Path:
        """A host's certificates."""
        return Path("/etc/pki") / host

    @abstractmethod
    def go_away(self) -> None:
        """The storage is gone."""

    def absent(self) -> VolumeRef:
        """A volume that was never made."""
        return VolumeRef(ids.new_uuid(), {"path": str(self.directory / "absent.raw")})

    directory: Path


class DirectoryCase(Case):
    """Files in a directory, shared or not."""

    has_access_control = False

    def __init__(self, directory: Path, kind: str) -> None:
        super().__init__()
        self.directory = directory / "mount"
        self.directory.mkdir()
        if kind == "local":
            self.driver = LocalDriver(BACKEND, LocalBackend(driver="local", directory=self.directory))
        else:
            options = SharedDirectoryBackend(driver="shared-directory", directory=self.directory, format="qcow2")
            self.driver = SharedDirectoryDriver(BACKEND, options)

    def go_away(self) -> None:
        self.directory.rename(self.directory.with_name("unmounted"))


class NbdCase(Case):
    """A real qemu-nbd for each attachment, with certificates."""

    def __init__(self, directory: Path) -> None:
        super().__init__()
        self.directory = directory / "mount"
        self.directory.mkdir()
        self._pki = directory / "pki"
        authority = CertificateAuthority.load_or_make(self._pki / "authority", "test")
        for name in ("storage", *HOSTS):
            install(self._pki / name, authority, name, ADDRESS)
        self.foreign_pki = self._pki / "foreign"
        install(self.foreign_pki, CertificateAuthority.load_or_make(self._pki / "other", "other"), "node5", ADDRESS)
        first = free_port()
        self.options = NbdBackend(
            driver="nbd",
            address=ADDRESS,
            directory=self.directory,
            first_port=first,
            last_port=first + 50,
            pki_dir=self._pki / "storage/qemu",
        )
        self.driver = NbdDriver(BACKEND, self.options)

    def pki(self, host: str) -> Path:
        return self._pki / host

    def go_away(self) -> None:
        self.directory.rename(self.directory.with_name("unmounted"))

    def processes(self) -> list[int]:
        """Its qemu-nbd that live."""
        return [pid for pid, arguments in running().items() if arguments[:1] == ["qemu-nbd"] and str(self.directory) in " ".join(arguments)]

    def stop(self) -> None:
        for pid in self.processes():
            os.kill(pid, signal.SIGKILL)


class TgtCase(Case):
    """A tgtd of its own."""

    has_secrets = True

    def __init__(self, directory: Path) -> None:
        super().__init__()
        self.directory = directory
        self._log = directory / "tgtd.log"
        self.port, self.control_port = free_port(), free_control_port()
        self.options = IscsiTgtBackend(
            driver="iscsi-tgt", portal=f"{ADDRESS}:{self.port}", directory=directory / "volumes", control_port=self.control_port
        )
        self.driver = IscsiTgtDriver(BACKEND, self.options)

    def start(self) -> None:
        """Start it, and wait until it answers."""
        argv = ["tgtd", "-f", "--control-port", str(self.control_port), "--iscsi", f"portal={ADDRESS}:{self.port}"]
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(["setpriv", "--pdeathsig=KILL", *argv], stdout=log, stderr=log)
        ask = ["tgtadm", "--control-port", str(self.control_port), "--lld", "iscsi", "--op", "show", "--mode", "target"]
        until(lambda: subprocess.run(ask, capture_output=True, check=False).returncode == 0)

    def go_away(self) -> None:
        self.stop()

    def stop(self) -> None:
        self._process.kill()
        self._process.wait()
        Path(f"/var/run/tgtd/socket.{self.control_port}").unlink(missing_ok=True)
        Path(f"/var/run/tgtd/socket.{self.control_port}.lock").unlink(missing_ok=True)

    def absent(self) -> VolumeRef:
        return VolumeRef(ids.new_uuid(), {"iqn": "iqn.2026-11.org.lmigrate:absent", "path": str(self.directory / "absent.raw")})


class CinderCase(Case):
    """python-cinderclient against a fake service that speaks HTTP: what it exports cannot be opened."""

    has_secrets = True
    is_real = False

    def __init__(self, stack: contextlib.ExitStack) -> None:
        super().__init__()
        self._stack = stack
        self.cinder = stack.enter_context(serving(FakeCinder()))
        options = CinderBackend.model_validate(
            {"driver": "cinder", "auth_type": "none", "auth": {"endpoint": self.cinder.endpoint}, "endpoint": self.cinder.endpoint}
        )
        self.driver = CinderDriver(BACKEND, options)

    def identity(self, host: str) -> str:
        return host  # Cinder tells no initiators

    def go_away(self) -> None:
        self._stack.close()

    def absent(self) -> VolumeRef:
        return VolumeRef(ids.new_uuid(), {"volume_id": ids.new_uuid()})


class Session:
    """A QEMU block client that stays connected: qemu-io, fed with commands."""

    def __init__(self, case: Case, info: ConnectionInfo, host: str, directory: Path) -> None:
        secret = directory / "session-secret"
        secret.write_text(info.secret or "")
        objects = login._objects(info, str(secret), case.pki(host))
        options = login._joined(login._IMAGE_OPTIONS[info.protocol](info))
        argv = ["qemu-io", *objects, "--image-opts", options]
        self._process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)

    def __enter__(self) -> Self:
        return self

    def ask(self, command: str) -> str:
        """The first line that it answers, prompts left out."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{command}\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        if "failed" not in line:
            self._process.stdout.readline()  # the time it took
        return line

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.communicate()


class RbdCase(Case):
    """A pool of a cluster: a real one, or in memory."""

    has_secrets = True

    def __init__(self, options: RbdBackend) -> None:
        super().__init__()
        self.driver = RbdDriver(BACKEND, options)

    def absent(self) -> VolumeRef:
        return VolumeRef(ids.new_uuid(), {"pool": POOL, "image": "absent"})


class RealRbdCase(RbdCase):
    """A monitor and an OSD, which all cases share."""

    def __init__(self, cluster: CephCluster, directory: Path) -> None:
        self._options = RbdBackend(driver="rbd", pool=POOL, monitors=[f"{ADDRESS}:{cluster.port}"], user=USER, conf=cluster.conf)
        self._lost = directory / "lost.conf"
        super().__init__(self._options)

    def why_refused(self, info: ConnectionInfo, host: str) -> str | None:
        """librados keeps asking when it is refused: the check's deadline ends it, here sooner than on a host."""
        with mock.patch.object(login, "_DEADLINE_S", 8.0):
            return super().why_refused(info, host)

    def go_away(self) -> None:
        """The monitor is not reached any more."""
        silent = f"[global]\nmon host = [v1:{ADDRESS}:{free_port()}]\nclient mount timeout = 1\nrados mon op timeout = 1\n"
        self._lost.write_text(silent + f"keyring = {self._options.conf.with_name('keyring')}\n")
        self.driver = RbdDriver(BACKEND, self._options.model_copy(update={"conf": self._lost}))


class FakeRbdCase(RbdCase):
    """The commands `rbd` and `ceph` of a cluster in memory."""

    is_real = False

    def __init__(self, stack: contextlib.ExitStack) -> None:
        super().__init__(RbdBackend(driver="rbd", pool=POOL, monitors=["10.0.0.11"]))
        self.ceph = FakeCeph(POOL)
        stack.enter_context(mock.patch.object(shell, "run", self.ceph.run))

    def go_away(self) -> None:
        self.ceph.is_away = True


def no_cluster() -> CephCluster:
    """For whoever makes no case of Ceph."""
    raise LookupError("this case needs a Ceph cluster")


class SanCase(Case):
    """The storage in memory of the tests of sagas and crashes."""

    has_secrets = True
    is_real = False

    def __init__(self) -> None:
        super().__init__()
        self.san = FakeSan(BACKEND)
        self.driver = self.san

    def why_refused(self, info: ConnectionInfo, host: str) -> str | None:
        del host
        return self.san.why_refused(info)

    def go_away(self) -> None:
        self.san.is_away = True

    def absent(self) -> VolumeRef:
        return VolumeRef(ids.new_uuid(), {"name": "absent"})


@contextlib.contextmanager
def making(kind: str, directory: Path, ceph: Callable[[], CephCluster] = no_cluster) -> Iterator[Case]:
    """A backend of that kind, gone at the end; ``ceph`` starts a cluster when it is first asked for one."""
    with contextlib.ExitStack() as stack:
        if kind == "iscsi-tgt":
            tgt = TgtCase(directory)
            stack.callback(tgt.stop)
            tgt.start()
            yield tgt
        elif kind == "nbd":
            nbd = NbdCase(directory)
            stack.callback(nbd.stop)
            yield nbd
        elif kind == "rbd":
            yield RealRbdCase(ceph(), directory)
        elif kind == "san in memory":
            yield SanCase()
        elif kind in {"cinder", "rbd in memory"}:
            yield CinderCase(stack) if kind == "cinder" else FakeRbdCase(stack)
        else:
            yield DirectoryCase(directory, kind)


def free_port() -> int:
    """A TCP port on which nobody listens."""
    with socket.socket() as trial:
        trial.bind((ADDRESS, 0))
        return int(trial.getsockname()[1])


def free_control_port() -> int:
    """A number for tgtd's control socket; it takes none above 32767."""
    return next(number for number in range(10000 + os.getpid() % 20000, 32767) if not Path(f"/var/run/tgtd/socket.{number}").exists())


def running() -> dict[int, list[str]]:
    """Arguments by process."""
    found = {}
    for entry in Path("/proc").iterdir():
        with contextlib.suppress(OSError, ValueError):
            found[int(entry.name)] = (entry / "cmdline").read_text().split("\0")[:-1]
    return found


def until(is_so: object, deadline_s: float = 20.0) -> None:
    """Wait until a call answers true."""
    assert callable(is_so)
    end = time.monotonic() + deadline_s
    while not is_so():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.05)


def is_installed(kind: str) -> bool:
    """Whether the programs are there."""
    qemu = ["qemu-img", "qemu-io"]
    needed = {
        "iscsi-tgt": ["tgtd", "tgtadm", *qemu],
        "nbd": ["qemu-nbd", *qemu],
        "rbd": [*PROGRAMS, *qemu],
        "cinder": [],
        "rbd in memory": [],
    }
    return all(shutil.which(program) for program in needed.get(kind, ["qemu-img"]))
