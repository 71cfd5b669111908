"""Prepare what the guest needs on the destination."""

from __future__ import annotations

from pathlib import Path

from lmigrate.errors import MigrationPreCheckError, OutcomeUnknown
from lmigrate.faults import failpoint
from lmigrate.migration.connections import Connection, connections_of, is_used_by_others
from lmigrate.migration.look import look
from lmigrate.migration.media import fetch_medium
from lmigrate.migration.migrate_data import LocalDisk, Medium, NeededFile
from lmigrate.migration.steps.base import Facts, Side, Step, StepContext
from lmigrate.states import HoldReason, MigrationStatus
from lmigrate.storage import directories, disk_image, ownership, probe
from lmigrate.storage.disk_image import FileIdentity, ImageInfo
from lmigrate.virt.xml.destination import moved_path


class PreLiveMigration(Step):
    """Make the guest's directory and empty disks on the destination, each with the mark of this migration.

    Do:        verify the files that QEMU only reads; make the directory with its marker; make empty images of the
               right format and size, over the same backing files if those are shared; fetch the media that lie in
               the guest's own directory; log in to each volume once, and give libvirt the secrets.
    Undo:      remove the domain, the secrets, the images and the directory if they carry this migration's mark.
    If killed: whatever exists carries the mark: a second run completes it, undo removes it.
    Because:   libvirt copies into files that exist; and what carries no mark is somebody else's.
    """

    name = "pre_live_migration"
    side = Side.DESTINATION
    status = MigrationStatus.PREPARING

    def do(self, context: StepContext) -> Facts:
        """Facts: copy_mode (full|inc), devices (device name → the kernel's block device), disks (→ path here), graphics_listen."""
        directories.require_answer(context.settings.host)
        probe.remove_probes(map(Path, context.facts["check_destination"]["probed"]), context.uuid)
        data = context.data
        for file in data.needed_files:
            _verify_needed(file, context.settings.host.name)
        _verify_secrets(context)
        copy_mode = "inc" if data.copied_disks and all(map(_has_same_backing, data.copied_disks)) else "full"
        if not data.is_shared_instance_path:
            ownership.claim_directory(_directory(context), context.uuid, context.settings.host.name)
        for disk in data.copied_disks:
            _make_disk(context, disk, copy_mode)
        for medium in data.media:
            fetch_medium(context, medium, path_here(context, medium))
        return {
            "copy_mode": copy_mode,
            "devices": _open_volumes(context),
            "disks": {disk.device_name: str(path_here(context, disk)) for disk in data.moved_files},
            "graphics_listen": context.settings.host.graphics_listen,
        }

    def undo(self, context: StepContext, facts: Facts | None) -> None:
        """Never while the guest runs here, whatever the records say."""
        del facts
        remove_incoming_domain(context)
        for connection in connections_of(context):
            close_volume(context, connection)
            failpoint("disconnect.after")
        if not context.migration.migrate_data:
            return
        for disk in context.data.moved_files:
            ownership.remove_file(path_here(context, disk), context.uuid)
        if not context.data.is_shared_instance_path:
            ownership.remove_directory(_directory(context), context.uuid)


def _connections(context: StepContext) -> list[Connection]:
    """One for each volume, or none at all: a disk left out would go on with the source's way to its volume."""
    found = connections_of(context)
    missing = {disk.device_name for disk in context.data.volumes} - {connection.device_name for connection in found}
    if missing:
        raise MigrationPreCheckError(reason=f"{context.settings.host.name} was not let in to the volumes of {', '.join(sorted(missing))}")
    return found


def _open_volumes(context: StepContext) -> dict[str, str]:
    """The block devices of those that the kernel has logged in to; QEMU logs in to the others with libvirt's secret."""
    devices = {}
    for connection in _connections(context):
        opened = connection.open_here(context.settings.host)
        if opened.protocol == "block":
            devices[connection.device_name] = opened.source_name
        elif connection.secret is not None:
            context.hypervisor.define_secret(connection.secret)
        failpoint("connect.after")
    return devices


def close_volume(context: StepContext, connection: Connection) -> None:
    """Forget the secret, and log the kernel out unless another guest of this host uses the volume.  Absent is fine."""
    context.hypervisor.undefine_secret(connection.secret_uuid)
    if not is_used_by_others(connection.attachment_uuid):
        connection.close_here(context.settings.host)


def remove_incoming_domain(context: StepContext) -> None:
    """End and undefine a domain that carries this migration's mark and has not run here.

    Raises:
        OutcomeUnknown: it runs here, or has run: then it may be the only copy, and is not ours to remove.  Or it is somebody
            else's, who has moved the guest here by hand meanwhile: into the very files that we have made for it.
    """
    hypervisor, uuid = context.hypervisor, context.instance.uuid
    seen = look(hypervisor, uuid, context.uuid)
    if not seen.exists:
        return
    if not seen.is_ours:
        raise OutcomeUnknown(
            reason=f"{context.settings.host.name} has the guest by somebody else's hand: {seen}; what was made for it there may be in use",
            hold=HoldReason.FOREIGN_DOMAIN,
        )
    if seen.has_run:
        raise OutcomeUnknown(
            reason=f"{context.settings.host.name} has a copy of the guest that has run: {seen}", hold=HoldReason.COPY_HAS_RUN
        )
    context.check_claim()
    if seen.is_active:
        hypervisor.destroy(uuid)
    hypervisor.undefine(uuid)


def path_here(context: StepContext, disk: LocalDisk | Medium) -> Path:
    """Where a copied disk or medium lies on the destination: below its own instances directory, or at the same path."""
    data = context.data
    return Path(moved_path(disk.path, data.source_instances_path, data.destination_instances_path) or disk.path)


def _directory(context: StepContext) -> Path:
    return Path(context.data.destination_instances_path) / context.instance.uuid


def _make_disk(context: StepContext, disk: LocalDisk, copy_mode: str) -> None:
    path = path_here(context, disk)
    if not path.parent.is_dir():
        raise MigrationPreCheckError(reason=f"{context.settings.host.name} has no directory {path.parent} for disk {disk.device_name}")
    backing = _backing(disk) if copy_mode == "inc" else None
    ownership.claim_file(
        path,
        context.uuid,
        context.settings.host.name,
        lambda proof: disk_image.create(proof, disk.format, disk.capacity_bytes, backing),
    )


def _backing(disk: LocalDisk) -> ImageInfo | None:
    if not disk.backing:
        return None
    nearest = disk.backing[0]
    return ImageInfo(nearest["path"], nearest["format"], 0, 0, None, None)


def _has_same_backing(disk: LocalDisk) -> bool:
    """Whether every file below this disk is the very same file here.

    A file of the same name and size is not enough: the guest's top layer over another base
    is a corrupt disk (Nova bug 1732428).  Else the whole chain is copied into a flat image.
    """
    return all(_is_here(FileIdentity(image["path"], image["size_bytes"], image["inode"], image["mtime_ns"])) for image in disk.backing)


def _is_here(there: FileIdentity) -> bool:
    try:
        return disk_image.is_same_file(disk_image.identify(there.path), there)
    except FileNotFoundError:
        return False


def _verify_secrets(context: StepContext) -> None:
    """An operator's secrets are not ours to carry; without them QEMU would refuse only at the end."""
    if not context.data.needed_secrets:
        return
    missing = set(context.data.needed_secrets) - set(context.hypervisor.secrets())
    if missing:
        raise MigrationPreCheckError(
            reason=f"libvirt on {context.settings.host.name} has no secret {', '.join(sorted(missing))} of an encrypted disk: define it"
        )


def _verify_needed(file: NeededFile, host: str) -> None:
    try:
        here = disk_image.identify(file.path)
    except FileNotFoundError as error:
        raise MigrationPreCheckError(reason=f"{host} has no {file.path}, which the guest uses as its {file.what}") from error
    if here.size_bytes != file.size_bytes:
        raise MigrationPreCheckError(
            reason=f"{file.path} ({file.what}) has {here.size_bytes} bytes on {host} and {file.size_bytes} on the source: copy it there",
        )
