"""The iSCSI sessions of this host's kernel, as sysfs shows them; QEMU's own are not among them."""

from __future__ import annotations

from pathlib import Path

#: open-iscsi's transport class, https://www.kernel.org/doc/Documentation/ABI/testing/sysfs-class-iscsi; absent: no session was ever there
SYSFS = Path("/sys/class/iscsi_session")


def targets() -> list[str]:
    """Names of the targets that the kernel is logged in to."""
    return sorted({name for entry in SYSFS.glob("session*") if (name := _target(entry))})


def _target(session: Path) -> str | None:
    try:
        return (session / "targetname").read_text(encoding="utf-8", errors="replace").strip()
    except OSError:  # it has just ended: the kernel says ENOENT, or ENODEV of an open one
        return None
