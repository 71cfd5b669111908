"""The domain of a guest."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from lxml import etree
from lxml.builder import E, ElementMaker

from lmigrate.lab.guests.spec import GuestSpec

EMULATOR = "/usr/bin/qemu-system-x86_64"
CONSOLE = "console.log"
CONFIG_DRIVE = "disk.config"
QEMU_NAMESPACE = "http://libvirt.org/schemas/domain/qemu/1.0"


@dataclass(frozen=True)
class BootFiles:
    """Files that QEMU itself reads at the start, as the hosts see them; on every host, as QEMU at the
    destination reads them too.

    Attributes:
        rom: the tick guest as firmware.
        kernel, initrd, cmdline: of a linux guest.
    """

    rom: Path | None = None
    kernel: Path | None = None
    initrd: Path | None = None
    cmdline: str = ""


def domain_xml(spec: GuestSpec, directory: Path, boot: BootFiles, accel: str) -> str:
    """The domain's XML.

    Args:
        spec: the guest.
        directory: its instance directory as the host sees it.
        boot: what it boots, if not its first disk.
        accel: ``kvm`` or ``tcg``.
    """
    domain = E.domain(
        {"type": "kvm" if accel == "kvm" else "qemu"},
        E.name(spec.name),
        E.uuid(spec.uuid),
        E.description(f"lmigrate lab: {spec.kind} guest"),
        E.memory({"unit": "MiB"}, str(spec.memory_mib)),
        E.vcpu(str(spec.vcpus)),
        _operating_system(spec, boot),
        E.features(E.acpi(), E.apic()),
        *([etree.fromstring(spec.cpu)] if spec.cpu else []),
        E.clock({"offset": "utc"}),
        E.on_poweroff("destroy"),
        E.on_reboot("restart"),
        E.on_crash("destroy"),
        _devices(spec, directory),
    )
    if accel == "tcg":
        domain.append(_memory_of_odd_size(spec.memory_mib))
    return etree.tostring(domain, pretty_print=True, encoding="unicode")


def _memory_of_odd_size(memory_mib: int) -> etree._Element:
    """Memory that is no multiple of 64 pages, so that a migration under TCG copies all of it.

    Before QEMU 9.0, clearing the dirty bits of an aligned block leaves TCG's TLB as it was: what the guest writes
    through it afterwards is not copied, and the guest at the destination hangs, reboots or finds old data.  A block
    whose length is no multiple of 64 pages takes the path that resets the TLB (QEMU's commit "physmem: Fix migration
    dirty bitmap coherency with TCG memory access").  libvirt rounds to whole MiB, so QEMU is told beside it.
    """
    size_kib = memory_mib * 1024 + 8  # QEMU rounds up to 8 KiB
    arguments = (
        *("-object", f"memory-backend-ram,id=lab.ram,size={size_kib}K"),
        *("-machine", "memory-backend=lab.ram"),
        *("-m", f"size={size_kib}k"),
    )
    qemu = ElementMaker(namespace=QEMU_NAMESPACE, nsmap={"qemu": QEMU_NAMESPACE})
    return qemu.commandline(*(qemu.arg({"value": value}) for value in arguments))


def disk_name(place: int) -> str:
    """The file name of a disk in the instance's directory."""
    return f"disk{place}"


def _operating_system(spec: GuestSpec, boot: BootFiles) -> etree._Element:
    system = E.os(E.type({"arch": "x86_64", "machine": spec.machine}, "hvm"))
    if boot.rom:
        system.append(E.loader({"readonly": "yes", "type": "rom"}, str(boot.rom)))
    if boot.kernel:
        system.extend([E.kernel(str(boot.kernel)), E.initrd(str(boot.initrd)), E.cmdline(boot.cmdline)])
    if spec.boots_from_disk:
        system.append(E.boot({"dev": "hd"}))
    return system


def _devices(spec: GuestSpec, directory: Path) -> etree._Element:
    devices = E.devices(E.emulator(EMULATOR))
    for place, disk in enumerate(spec.disks):
        devices.append(
            E.disk(
                {"type": "file", "device": "disk"},
                E.driver({"name": "qemu", "type": disk.format}),
                E.source({"file": str(directory / disk_name(place))}),
                E.target({"dev": f"vd{chr(ord('a') + place)}", "bus": "virtio"}),
            )
        )
    if spec.config_drive_kib:
        devices.append(
            E.disk(
                {"type": "file", "device": "cdrom"},
                E.driver({"name": "qemu", "type": "raw"}),
                E.source({"file": str(directory / CONFIG_DRIVE)}),
                E.target({"dev": "sda", "bus": "sata"}),
                E.readonly(),
            )
        )
    devices.append(E.controller({"type": "usb", "index": "0", "model": "none"}))
    # a destination's QEMU would otherwise truncate what the source has written
    source = E.source({"path": str(directory / CONSOLE), "append": "on"})
    devices.append(E.serial({"type": "file"}, source, E.target({"port": "0"})))
    devices.extend(_display(spec))
    devices.append(E.memballoon({"model": "none"}))
    devices.extend(etree.fromstring(f"<devices>{spec.devices_xml}</devices>"))
    return devices


def _display(spec: GuestSpec) -> list[etree._Element]:
    if spec.vnc_listen is None:
        return [E.video(E.model({"type": "none"}))]
    listen = E.listen({"type": "address", "address": spec.vnc_listen})
    return [E.graphics({"type": "vnc", "autoport": "yes", "listen": spec.vnc_listen}, listen), E.video(E.model({"type": "vga"}))]
