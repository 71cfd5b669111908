"""Volumes of a lab, for its guests: made on its tgtd, attached before the guest starts."""

from __future__ import annotations

import base64
import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lxml import etree

from lmigrate.lab.errors import LabError, NoStorage, NoSuchVolume, VolumeExists, VolumeInUse
from lmigrate.lab.guests.spec import GuestSpec
from lmigrate.lab.guests.tick_image import TickParameters, assemble, patch
from lmigrate.lab.node import Node
from lmigrate.lab.tgt import BACKEND
from lmigrate.migration.connections import Connection, secret_uuid
from lmigrate.storage.drivers.base import ConnectionInfo
from lmigrate.virt.types import Secret
from lmigrate.virt.xml.volume import secret_xml, update_volume

if TYPE_CHECKING:
    from lmigrate.lab.topology import Lab


@dataclass(frozen=True)
class LabVolume:
    """One volume of the lab.

    Attributes:
        lab: where it is.
        uuid: of the volume.
        path: its backing file on this machine: what is really written can be read there.
    """

    lab: Lab
    uuid: str
    path: Path

    def make_bootable(self, parameters: TickParameters) -> None:
        """Write a tick guest into its first sectors: one with ``firmware="volume"`` boots from it."""
        with self.path.open("r+b") as file:
            file.write(patch(assemble(self.lab.paths.top / "cache"), parameters))

    def attach(self, host: str, instance_uuid: str, device_name: str, boot_index: int | None = None) -> str:
        """Let ``host`` in, give its libvirtd the secret, and return the <disk> for the guest's XML."""
        (disk,) = attach_volumes([self], host, instance_uuid, [device_name], boot_index)
        return disk

    def disk_xml(self, host: str, device_name: str, answer: dict[str, Any], boot_index: int | None) -> str:
        """Give the host's libvirtd the secret of an attachment that was granted, and return its <disk>."""
        attachment_uuid = answer.pop("attachment")
        connection = Connection(device_name, attachment_uuid, ConnectionInfo.from_json(answer))
        if connection.secret is not None:
            define_secret(self.lab.host(host), connection.secret)
        disk = etree.fromstring(
            f"<disk device='disk'><driver name='qemu' type='raw' cache='none'/><target dev='{device_name}' bus='virtio'/>"
            f"<serial>{self.uuid[:20]}</serial></disk>"
        )
        update_volume(disk, connection.source)
        if boot_index is not None:
            etree.SubElement(disk, "boot", order=str(boot_index))
        return etree.tostring(disk, encoding="unicode")

    def granted(self) -> list[str]:
        """Initiators in the target's ACL, as tgtd itself says."""
        (answer,) = _tool(self.lab, ["granted", self.uuid])
        initiators: list[str] = answer["initiators"]
        return initiators


def define_secret(node: Node, secret: Secret) -> None:
    """Make the libvirtd of a host keep a secret, as an operator does for a guest that is about to start."""
    node.run(["virsh", "--quiet", "secret-define", "/dev/stdin"], stdin=secret_xml(secret), check=True)
    value = base64.b64encode(secret.payload).decode()
    node.run(["virsh", "--quiet", "secret-set-value", secret.uuid, "--file", "/dev/stdin"], stdin=value, check=True)


def make_volume(lab: Lab, name: str, size_mib: int) -> LabVolume:
    """A new, empty volume on the lab's tgtd."""
    (volume,) = make_volumes(lab, [name], size_mib)
    return volume


def make_volumes(lab: Lab, names: Sequence[str], size_mib: int) -> list[LabVolume]:
    """New, empty volumes on the lab's tgtd."""
    answers = _tool(lab, *(["create", BACKEND, name, str(size_mib)] for name in names))
    return [LabVolume(lab, answer["uuid"], Path(answer["path"])) for answer in answers]


def create_volume(lab: Lab, name: str, size_mib: int) -> LabVolume:
    """`make_volume` for people, who know it by its name.

    Raises:
        VolumeExists: there is one of that name.
        NoStorage: no tgtd runs there.
    """
    if _find(lab, [name])[0]:
        raise VolumeExists(lab_id=lab.options.lab_id, volume=name)
    return make_volume(lab, name, size_mib)


@contextmanager
def carrying(lab: Lab, host: str, spec: GuestSpec, names: Sequence[str]) -> Iterator[GuestSpec]:
    """The guest with the volumes of these names after its own disks; if it does not start, what was granted is taken back.

    Raises:
        NoSuchHost, NoSuchVolume, NoStorage: it cannot be.
        VolumeInUse: another guest has it.
    """
    node = lab.host(host)
    volumes = _free_volumes(lab, names)
    devices = [f"vd{chr(ord('a') + place)}" for place in range(len(spec.disks), len(spec.disks) + len(volumes))]
    try:
        disks = attach_volumes(volumes, host, spec.uuid, devices) if volumes else []
        yield replace(spec, devices_xml=spec.devices_xml + "".join(disks))
    except BaseException:
        if volumes:
            _release(lab, node, spec.uuid)
        raise


def _free_volumes(lab: Lab, names: Sequence[str]) -> list[LabVolume]:
    found = []
    for name, answer in zip(names, _find(lab, names), strict=True):
        if not answer:
            raise NoSuchVolume(lab_id=lab.options.lab_id, volume=name)
        if answer["guests"]:
            raise VolumeInUse(volume=name, guest=answer["guests"][0])
        found.append(LabVolume(lab, answer["uuid"], Path(answer["path"] or "")))
    return found


def _find(lab: Lab, names: Sequence[str]) -> list[dict[str, Any]]:
    if names and not lab.ctl.is_running("tgtd"):
        raise NoStorage(lab_id=lab.options.lab_id)
    return _tool(lab, *(["find", name] for name in names)) if names else []


def _release(lab: Lab, node: Node, instance_uuid: str) -> None:
    """The opposite of `attach_volumes`."""
    (answer,) = _tool(lab, ["release", instance_uuid])
    for attachment_uuid in answer["attachments"]:
        node.run(["virsh", "--quiet", "secret-undefine", secret_uuid(attachment_uuid)])  # a host that was to get it may have none


def attach_volumes(
    volumes: Sequence[LabVolume], host: str, instance_uuid: str, device_names: Sequence[str], boot_index: int | None = None
) -> list[str]:
    """`LabVolume.attach` for several at once; the guest boots from the first one, if from any."""
    answers = _tool(volumes[0].lab, *(["attach", volume.uuid, host, instance_uuid] for volume in volumes))
    disks = []
    for place, (volume, device_name, answer) in enumerate(zip(volumes, device_names, answers, strict=True)):
        disks.append(volume.disk_xml(host, device_name, answer, boot_index if place == 0 else None))
    return disks


def _tool(lab: Lab, *commands: list[str]) -> list[dict[str, Any]]:
    done = lab.ctl.run([sys.executable, "-m", "lmigrate.lab.volume_tool"], stdin=json.dumps(commands))
    if done.returncode != 0:
        raise LabError(f"the storage of lab {lab.options.lab_id} failed: {done.stderr.strip()[-2000:]}")
    answers: list[dict[str, Any]] = json.loads(done.stdout)
    return answers
