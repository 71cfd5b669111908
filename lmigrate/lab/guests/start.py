"""Start a guest on a host of the lab."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

from lmigrate.lab.errors import GuestExists
from lmigrate.lab.guests import linux_image
from lmigrate.lab.guests.domain_xml import BootFiles, domain_xml
from lmigrate.lab.guests.guest import Guest
from lmigrate.lab.guests.instance_files import add_base_file, make_disks
from lmigrate.lab.guests.spec import GuestSpec
from lmigrate.lab.guests.tick_image import as_rom, assemble, patch

if TYPE_CHECKING:
    from lmigrate.lab.topology import Lab

_FIRST_TICK_TIMEOUT_S = {"tick": 60.0, "linux": 240.0}  # an interpreting KVM takes that long
_HARDWARE_KVM = (Path("/sys/module/kvm_intel"), Path("/sys/module/kvm_amd"))


def start_guest(lab: Lab, host_name: str, spec: GuestSpec) -> Guest:
    """Make the guest's files on ``host_name``, start its domain and wait for the first tick.

    Raises:
        NoSuchHost: the lab has no such host.
        GuestExists: it has a guest of that name or UUID, which goes on.
        subprocess.CalledProcessError: libvirt or qemu-img refused; nothing is left.
        LabError: the guest does not tick; nothing is left.
    """
    host = lab.host(host_name)
    if any(spec.name == other.name or spec.uuid == other.uuid for other in Guest.all(lab)):
        raise GuestExists(lab_id=lab.options.lab_id, guest=spec.name)
    guest = Guest(lab, spec)
    try:
        boot, boot_sectors = _boot_files(lab, spec)
        make_disks(host, spec, lab.hosts.values(), boot_sectors)
        guest.save()
        xml = domain_xml(spec, host.instances_path / spec.uuid, boot, accel_for(spec, lab.accel.name))
        guest.recorder.start()
        _start_domain(guest, host_name, xml)
        guest.recorder.wait_until(1, _FIRST_TICK_TIMEOUT_S[spec.kind])
        if spec.paused:
            host.virsh("suspend", spec.uuid)
    except BaseException:
        guest.stop()
        raise
    return guest


def accel_for(spec: GuestSpec, lab_accel: str) -> str:
    """``kvm`` or ``tcg``: what the guest asks for, else the lab's, except where KVM is an interpreter.

    A KVM without virtualization in hardware executes a guest's kernel instruction by instruction, far slower
    than TCG. An idle tick guest does not mind; one that works would not reach its rates.
    """
    if spec.accel:
        return spec.accel
    works = spec.kind == "linux" or spec.dirty_mib or spec.fill_mib
    return "tcg" if works and not any(path.exists() for path in _HARDWARE_KVM) else lab_accel


def _start_domain(guest: Guest, host_name: str, xml: str) -> None:
    host, directory = guest.lab.host(host_name), guest.directory(host_name)
    definition = directory / "libvirt.xml"
    definition.write_text(xml)
    seen_by_host = str(host.instances_path / guest.uuid / definition.name)
    try:
        if guest.spec.transient:
            host.virsh("create", seen_by_host)
        else:
            host.virsh("define", seen_by_host)
            host.virsh("start", guest.uuid)
    finally:
        definition.unlink()


def _boot_files(lab: Lab, spec: GuestSpec) -> tuple[BootFiles, bytes]:
    hosts, cache = list(lab.hosts.values()), lab.paths.top / "cache"
    if spec.kind == "linux":
        return linux_image.boot_files(hosts, spec, cache), b""
    image = patch(assemble(cache), spec.parameters)
    if spec.boots_from_disk:
        return BootFiles(), image
    if spec.firmware == "volume":
        return BootFiles(), b""
    name = f"tick-{sha256(image).hexdigest()[:16]}.rom"
    return BootFiles(rom=Path(add_base_file(hosts, name, as_rom(image)))), b""
