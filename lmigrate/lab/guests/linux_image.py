"""The kernel and initramfs of the `linux` guest.

The kernel is Debian's linux-image-cloud-amd64, unpacked into a cache and never installed; the initramfs holds
busybox, the modules of virtio disks and the workload, which is compiled here. Made once, when first needed.
"""

from __future__ import annotations

import hashlib
import lzma
import os
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from importlib import resources
from pathlib import Path

from lmigrate.lab.errors import LabError, MissingProgram
from lmigrate.lab.guests.domain_xml import BootFiles
from lmigrate.lab.guests.instance_files import add_base_file
from lmigrate.lab.guests.spec import GuestSpec
from lmigrate.lab.host import Host

KERNEL_CACHE = Path("/var/cache/lmigrate-lab")
KERNEL_PACKAGE = "linux-image-cloud-amd64"
_KERNEL_ARGUMENTS = "console=ttyS0 quiet loglevel=1 panic=-1 mitigations=off random.trust_cpu=on tsc=reliable"
# in the order of loading
_MODULES = ("virtio_ring", "virtio", "virtio_pci_legacy_dev", "virtio_pci_modern_dev", "virtio_pci", "virtio_blk")
_PACKAGE_OF = {"gcc": "gcc", "cpio": "cpio", "apt-get": "apt", "apt-cache": "apt", "dpkg-deb": "dpkg"}
_TIMEOUT_S = 300.0


def boot_files(hosts: Sequence[Host], spec: GuestSpec, cache: Path) -> BootFiles:
    """What a linux guest boots, on every host.

    Raises:
        MissingProgram: one that builds it is not installed.
        LabError: the kernel cannot be had.
    """
    kernel = ensure_kernel(KERNEL_CACHE)
    initrd = ensure_initramfs(kernel, cache)
    return BootFiles(
        kernel=add_base_file(hosts, f"{kernel.name}.vmlinuz", (kernel / "vmlinuz").read_bytes()),
        initrd=add_base_file(hosts, initrd.name, initrd.read_bytes()),
        cmdline=command_line(spec),
    )


def command_line(spec: GuestSpec) -> str:
    """The kernel's command line; what follows ``--`` goes to the workload."""
    workload = (spec.rate_hz, spec.dirty_mib, spec.dirty_mib_per_s, spec.fill_mib, spec.poweroff_at)
    return f"{_KERNEL_ARGUMENTS} -- {' '.join(str(value) for value in workload)}"


def ensure_kernel(cache: Path) -> Path:
    """A directory with ``vmlinuz`` and the modules, named after the newest kernel package that apt knows.

    Raises:
        LabError: neither the cache nor apt has one.
    """
    cached = sorted(cache.glob("linux-image-*/vmlinuz"))
    if cached:
        return cached[-1].parent
    cache.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache) as directory:
        work = Path(directory)
        package = _download(work)
        (archive,) = work.glob("*.deb")
        _tool(["dpkg-deb", "-x", str(archive), "unpacked"], cwd=work)
        _pick(work / "unpacked", work / package)
        (work / package).rename(cache / package)
    return cache / package


def ensure_initramfs(kernel: Path, cache: Path) -> Path:
    """The initramfs for ``kernel``; kept in ``cache`` under a name that changes with its sources."""
    sources = {name: resources.files(__package__).joinpath(name).read_bytes() for name in ("workload.c", "linux_init.sh")}
    busybox = _busybox()
    version = hashlib.sha256(
        b"".join([*sources.values(), *map(str.encode, _MODULES), kernel.name.encode(), busybox.read_bytes()])
    ).hexdigest()[:16]
    initramfs = cache / f"linux-{version}.initramfs"
    if initramfs.exists():
        return initramfs
    cache.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache) as directory:
        root = Path(directory) / "root"
        _lay_out(root, kernel, busybox, sources["linux_init.sh"])
        _tool(["gcc", "-O2", "-static", "-x", "c", "-o", str(root / "bin/workload"), "-"], stdin=sources["workload.c"])
        _pack(root).rename(initramfs)
    return initramfs


def _download(into: Path) -> str:
    """Download the kernel's package; its name. Old lists name packages that are gone, so they are renewed once."""
    try:
        return _download_newest(into)
    except LabError:
        _tool(["apt-get", "update"])
        return _download_newest(into)


def _download_newest(into: Path) -> str:
    depends = _tool(["apt-cache", "depends", KERNEL_PACKAGE]).decode()
    names = [line.split()[-1] for line in depends.splitlines() if "Depends: linux-image-" in line]
    if not names:
        raise LabError(f"apt knows no {KERNEL_PACKAGE}; without it there are tick guests only")
    _tool(["apt-get", "-o", "APT::Sandbox::User=root", "download", names[0]], cwd=into)
    return names[0]


def _pick(unpacked: Path, into: Path) -> None:
    """Take the kernel and the modules that the guest loads out of the unpacked package."""
    into.mkdir()
    (vmlinuz,) = unpacked.glob("boot/vmlinuz-*")
    shutil.copy(vmlinuz, into / "vmlinuz")
    for name in _MODULES:
        (found,) = [path for path in unpacked.rglob(f"{name}.ko*") if path.suffix in {".ko", ".xz"}]
        data = found.read_bytes()
        (into / f"{name}.ko").write_bytes(lzma.decompress(data) if found.suffix == ".xz" else data)


def _lay_out(root: Path, kernel: Path, busybox: Path, init: bytes) -> None:
    for name in ("bin", "dev", "proc", "sys", "modules"):
        (root / name).mkdir(parents=True)
    shutil.copy(busybox, root / "bin/busybox")
    for applet in ("sh", "mount", "insmod", "echo"):
        (root / "bin" / applet).symlink_to("busybox")
    for name in _MODULES:
        shutil.copy(kernel / f"{name}.ko", root / "modules")
    (root / "modules/order").write_text("".join(f"{name}.ko\n" for name in _MODULES))
    (root / "init").write_bytes(init)
    (root / "init").chmod(0o755)


def _pack(root: Path) -> Path:
    names = sorted(str(path.relative_to(root)) for path in root.rglob("*"))
    archive = root.with_suffix(".cpio")
    archive.write_bytes(_tool(["cpio", "--quiet", "-o", "-H", "newc", "-R", "0:0"], stdin="\n".join(names).encode(), cwd=root))
    return archive


def _busybox() -> Path:
    for directory in ("/bin", "/usr/bin"):
        path = Path(directory) / "busybox"
        if path.exists():
            return path
    raise MissingProgram(program="busybox", package="busybox-static")


def _tool(argv: list[str], *, stdin: bytes = b"", cwd: Path | None = None) -> bytes:
    try:
        done = subprocess.run(
            argv, input=stdin, capture_output=True, cwd=cwd, env=os.environ | {"LC_ALL": "C"}, timeout=_TIMEOUT_S, check=False
        )
    except FileNotFoundError as error:
        raise MissingProgram(program=argv[0], package=_PACKAGE_OF[argv[0]]) from error
    if done.returncode != 0:
        raise LabError(f"{' '.join(argv[:3])} failed: {done.stderr.decode(errors='replace').strip()[-500:]}")
    return done.stdout
