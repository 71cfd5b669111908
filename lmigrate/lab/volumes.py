"""Volumes of a lab, for its guests: made on its tgtd, attached before the guest starts."""

from __future__ import annotations

import base64
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lxml import etree

from lmigrate.lab.guests.tick_image import TickParameters, assemble, patch
from lmigrate.lab.node import Node
from lmigrate.lab.tgt import BACKEND
from lmigrate.migration.connections import Connection
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
        raise RuntimeError(f"volume tool: {done.stderr.strip()[-2000:]}")
    answers: list[dict[str, Any]] = json.loads(done.stdout)
    return answers
