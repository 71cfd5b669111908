"""What a guest is asked to be."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, Self

from lmigrate.ids import new_uuid
from lmigrate.lab.errors import WrongOption
from lmigrate.lab.guests.tick_image import TickParameters

#: of a guest, or of a volume
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")
_BOOT_SECTOR_MIB = 1
LINUX_MEMORY_MIB_MIN = 128


@dataclass(frozen=True)
class DiskSpec:
    """A disk in the instance's directory.

    Attributes:
        format: ``raw`` or ``qcow2``.
        size_mib: its size as the guest sees it, in MiB.
        backing: name of a base image; it is made in ``<instances_path>/_base`` of every host if it is not
            there (random data, as large as the disk), and the disk is a qcow2 on top of it.
        fill_mib: random data in MiB at the beginning of the disk itself.
    """

    format: Literal["raw", "qcow2"] = "raw"
    size_mib: int = 8
    backing: str | None = None
    fill_mib: int = 0

    def __post_init__(self) -> None:
        if self.format not in {"raw", "qcow2"} or self.size_mib < 1:
            raise WrongOption(f"a disk is raw or qcow2 and has at least 1 MiB, not {self.format} with {self.size_mib} MiB")
        if self.backing and self.format != "qcow2":
            raise WrongOption("only a qcow2 disk can have a backing file")
        if not 0 <= self.fill_mib <= self.size_mib:
            raise WrongOption(f"a disk of {self.size_mib} MiB cannot hold {self.fill_mib} MiB of data")

    @classmethod
    def parse(cls, text: str) -> Self:
        """A disk as given on the command line: ``FORMAT:SIZE_MIB[:FILL_MIB[:BACKING]]``, e.g. ``qcow2:64:8:base.raw``.

        Raises:
            WrongOption: it is not of that form.
        """
        fields = text.split(":")
        if not 2 <= len(fields) <= 4 or not all(number.isdecimal() for number in fields[1:3]):
            raise WrongOption(f"a disk is FORMAT:SIZE_MIB[:FILL_MIB[:BACKING]], not {text!r}")
        kind, size, fill, backing = [*fields, *("0", "")[len(fields) - 2 :]]
        return cls(kind, int(size), backing or None, int(fill))  # type: ignore[arg-type]  # checked above


@dataclass(frozen=True)
class GuestSpec:
    """Everything that may be chosen of a guest.

    Attributes:
        kind: ``tick`` (no operating system; starts in 0.2 s) or ``linux`` (Debian's kernel, busybox, disks that work).
        name: of the domain.
        memory_mib, vcpus: its size.
        disks: local disks, in order: vda, vdb...
        rate_hz: counts and lines a second.
        dirty_mib, dirty_mib_per_s: size in MiB of the memory it keeps rewriting, and how fast in MiB/s.
        fill_mib: further memory in MiB with data that cannot be compressed.
        poweroff_at: the count at which it switches itself off; 0: never. (`virsh shutdown` works for tick guests.)
        accel: ``kvm`` or ``tcg``; None takes the lab's.
        machine: machine type, e.g. ``pc-i440fx-7.2``, ``pc-q35-7.2``.
        cpu: the domain's ``<cpu>`` element as XML; None has QEMU's default model.
        firmware: of a tick guest: ``rom`` (the guest is the firmware) or ``bios`` (SeaBIOS boots it from vda) or
            ``volume`` (SeaBIOS boots it from the disk in ``devices_xml`` that has ``<boot order='1'/>``; see `LabVolume.make_bootable`).
        vnc_listen: address on which a VNC display listens; None has no display.
        config_drive_kib: size in KiB of a config drive (random data on a CD-ROM, sda) in the instance's directory; 0: none.
        devices_xml: further elements for ``<devices>``.
        paused: suspended after its first tick.
        transient: made by `virsh create`, without a definition that outlives it.
        uuid: of the domain.
    """

    kind: Literal["tick", "linux"] = "tick"
    name: str = "guest1"
    memory_mib: int = 64
    vcpus: int = 1
    disks: tuple[DiskSpec, ...] = ()
    rate_hz: float = 10.0
    dirty_mib: int = 0
    dirty_mib_per_s: float = 0.0
    fill_mib: int = 0
    poweroff_at: int = 0
    accel: Literal["kvm", "tcg"] | None = None
    machine: str = "pc-i440fx-7.2"
    cpu: str | None = None
    firmware: Literal["rom", "bios", "volume"] = "rom"
    vnc_listen: str | None = None
    config_drive_kib: int = 0
    devices_xml: str = ""
    paused: bool = False
    transient: bool = False
    uuid: str = field(default_factory=new_uuid)

    def __post_init__(self) -> None:
        if not NAME.fullmatch(self.name):
            raise WrongOption(f"{self.name!r} cannot be the name of a guest")
        if self.kind == "tick":
            self._check_tick()
        elif self.memory_mib < LINUX_MEMORY_MIB_MIN + self.dirty_mib + self.fill_mib:
            raise WrongOption(f"a linux guest that does this needs {LINUX_MEMORY_MIB_MIN + self.dirty_mib + self.fill_mib} MiB of memory")

    @property
    def parameters(self) -> TickParameters:
        """What it does, the same for both kinds."""
        return TickParameters(self.rate_hz, self.dirty_mib, self.dirty_mib_per_s, self.fill_mib, self.poweroff_at)

    @property
    def boots_from_disk(self) -> bool:
        """Whether the first disk begins with the guest's image."""
        return self.kind == "tick" and self.firmware == "bios"

    def to_json(self) -> dict[str, Any]:
        """Plain data, for the lab's record of the guest."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """The inverse of :meth:`to_json`."""
        return cls(**{**data, "disks": tuple(DiskSpec(**disk) for disk in data["disks"])})

    def _check_tick(self) -> None:
        if self.memory_mib < self.parameters.memory_mib:
            raise WrongOption(f"a tick guest that does this needs {self.parameters.memory_mib} MiB of memory")
        if self.boots_from_disk and (not self.disks or self.disks[0].size_mib < _BOOT_SECTOR_MIB or self.disks[0].backing):
            raise WrongOption("with firmware=bios the first disk is what the guest boots from: give one without a backing file")
