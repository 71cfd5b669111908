"""mount(2), for the first process of a node.  Standard library only: it is imported before anything else runs."""

from __future__ import annotations

import ctypes
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path

MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC, MS_REMOUNT, MS_BIND = 1, 2, 4, 8, 32, 4096
MNT_DETACH = 2
_libc = ctypes.CDLL(None, use_errno=True)


def perform(spec: Mapping[str, str]) -> None:
    """Do one mount of a node's configuration.

    ``spec`` has ``kind`` (proc, sysfs, tmpfs, bind, hide, overlay), ``target``, and by kind ``source``
    (bind) or ``upper`` and ``work`` (overlay; the lower directory is the target itself).
    Missing targets are made: they lie in an overlay or a tmpfs of the node.
    """
    target = spec["target"]
    match spec["kind"]:
        case "proc":
            mount("proc", target, "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC)
        case "sysfs":
            # what lies below (cgroups of the machine above all) must not shine through
            _libc.umount2(os.fsencode(target), MNT_DETACH)
            mount("sysfs", target, "sysfs", MS_NOSUID | MS_NODEV | MS_NOEXEC)
        case "tmpfs":
            _make_target(target)
            mount("tmpfs", target, "tmpfs", MS_NOSUID | MS_NODEV, "mode=755")
        case "bind":
            bind(spec["source"], target)
        case "hide":
            hide(target)
        case "overlay":
            for name in ("upper", "work"):
                Path(spec[name]).mkdir(parents=True, exist_ok=True)
            mount("overlay", target, "overlay", 0, f"lowerdir={target},upperdir={spec['upper']},workdir={spec['work']}")
        case kind:
            raise ValueError(f"unknown kind of mount {kind!r}")


def bind(source: str, target: str) -> None:
    """Show ``source`` (a file or a directory) at ``target`` too."""
    if Path(source).is_dir():
        _make_target(target)
    mount(source, target, "", MS_BIND)


def hide(target: str) -> None:
    """Put an empty file that nobody may write over the file ``target``, so that access(2) says no, also to root.

    A writable stand-in would be worse than none: libvirt takes a /dev/kvm that it may open but
    QEMU cannot use as a sign that its cached capabilities are out of date, and probes again at each call.
    """
    with tempfile.NamedTemporaryFile() as empty:
        bind(empty.name, target)
    mount("", target, "", MS_REMOUNT | MS_BIND | MS_RDONLY)


def mount(source: str, target: str, kind: str, flags: int, data: str = "") -> None:
    """Ask the kernel for one mount.

    Raises:
        OSError: the kernel refused; names the target.
    """
    if _libc.mount(os.fsencode(source), os.fsencode(target), kind.encode(), ctypes.c_ulong(flags), data.encode()) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"mount {kind or 'bind'}: {os.strerror(number)}", target)


def _make_target(target: str) -> None:
    Path(target).mkdir(parents=True, exist_ok=True)
