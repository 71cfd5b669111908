"""Volumes of a lab, for its guests: made on its tgtd, attached before the guest starts."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lxml import etree

from lmigrate.lab.guests.tick_image import TickParameters, assemble, patch
from lmigrate.lab.tgt import BACKEND
from lmigrate.migration.connections import Connection
from lmigrate.storage.drivers.base import ConnectionInfo
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
        answer = _tool(self.lab, "attach", self.uuid, host, instance_uuid)
        attachment_uuid = answer.pop("attachment")
        connection = Connection(device_name, attachment_uuid, ConnectionInfo.from_json(answer))
        self._define_secret(host, connection)
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
        initiators: list[str] = _tool(self.lab, "granted", self.uuid)["initiators"]
        return initiators

    def _define_secret(self, host: str, connection: Connection) -> None:
        secret = connection.secret
        if secret is None:
            return
        node = self.lab.host(host)
        node.run(["virsh", "--quiet", "secret-define", "/dev/stdin"], stdin=secret_xml(secret), check=True)
        node.run(["virsh", "--quiet", "secret-set-value", secret.uuid, "--file", "/dev/stdin", "--plain"], stdin=secret.value, check=True)


def make_volume(lab: Lab, name: str, size_mib: int) -> LabVolume:
    """A new, empty volume on the lab's tgtd."""
    answer = _tool(lab, "create", BACKEND, name, str(size_mib))
    return LabVolume(lab, answer["uuid"], Path(answer["path"]))


def _tool(lab: Lab, *arguments: str) -> dict[str, Any]:
    done = lab.ctl.run([sys.executable, "-m", "lmigrate.lab.volume_tool", *arguments])
    if done.returncode != 0:
        raise RuntimeError(f"volume tool: {done.stderr.strip()[-2000:]}")
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer
