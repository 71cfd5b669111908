"""Remove what the guest left behind on the source."""

from __future__ import annotations

from pathlib import Path

from lmigrate.db.session import reading
from lmigrate.db.stores import observations, sightings, volumes
from lmigrate.errors import OutcomeUnknown
from lmigrate.migration.connections import connections_of, is_used_by_others, secret_uuid
from lmigrate.migration.guest_lock import guest_lock
from lmigrate.migration.steps.base import Facts, Side, Step, StepContext
from lmigrate.migration.verdict import Seen
from lmigrate.states import HoldReason, MigrationStatus

#: why a domain is shut off that a move has left; unknown: its libvirtd was started anew since, and forgot
_LEFT_BY_A_MOVE = {"migrated", "unknown"}


class PostAtSource(Step):
    """Undefine the domain and remove the disks that were copied.

    Do:        only when the destination was seen running the guest; undefine the inactive domain; remove the copied
               disks, the fetched media and the guest's logs; remove its directory if nothing else is in it.
    Undo:      there is no way back.
    If killed: every part is *ensure*: absent is fine.
    Because:   until here an intact copy stood on the source, whatever went wrong.
    """

    name = "post_at_source"
    side = Side.SOURCE
    status = MigrationStatus.POST_MIGRATING

    def do(self, context: StepContext) -> Facts:
        """Facts: removed, kept (files found in the directory that are not known to be the guest's)."""
        with guest_lock(context.settings.host.state_dir, context.instance.uuid):
            self._leave_domain(context)
            self._forget_secrets(context)
            self._leave_volumes(context)
            context.check_claim()  # a worker that was away for long may find the guest back at home
            removed = [path for path in _own_files(context) if _is_the_same(path, context) and _unlink(Path(path))]
            return {"removed": removed, "kept": self._leave_directory(context)}

    def _leave_domain(self, context: StepContext) -> None:
        hypervisor, uuid = context.hypervisor, context.instance.uuid
        domain = hypervisor.domain(uuid)
        if domain is None:
            return
        if domain.is_active:
            state = f"{domain.power_state.value} ({domain.reason})"
            raise OutcomeUnknown(
                reason=f"the guest runs on {context.migration.dest_host}, but the source still has it: {state}",
                hold=HoldReason.SOURCE_STILL_ACTIVE,
            )
        if domain.reason not in _LEFT_BY_A_MOVE and not _destination_has_it(context):
            raise OutcomeUnknown(
                reason=f"the guest has come back to {context.settings.host.name} and stopped there ({domain.reason}), and "
                f"{context.migration.dest_host} has none",
                hold=HoldReason.SOURCE_STILL_ACTIVE,
            )
        context.check_claim()
        hypervisor.undefine(uuid)

    def _forget_secrets(self, context: StepContext) -> None:
        with reading() as session:
            rows = volumes.attachments(session, context.instance.uuid, context.migration.source_host)
        for row in rows:
            context.hypervisor.undefine_secret(secret_uuid(row.uuid))

    def _leave_volumes(self, context: StepContext) -> None:
        """The kernel's sessions; QEMU has ended its own."""
        for connection in connections_of(context, context.migration.source_host):
            if not is_used_by_others(connection.attachment_uuid):
                connection.close_here(context.settings.host)

    def _leave_directory(self, context: StepContext) -> list[str]:
        if context.data.is_shared_instance_path:
            return []
        directory = Path(context.data.source_instances_path) / context.instance.uuid
        if not directory.is_dir():
            return []
        kept = sorted(str(entry) for entry in directory.iterdir())
        if not kept:
            directory.rmdir()
        return kept


def _destination_has_it(context: StepContext) -> bool:
    """By what its own daemon has seen last, or said when it was asked: somebody may have moved the guest back by hand since it arrived."""
    with reading() as session:
        seen = sightings.get(session, context.migration.dest_host or "", context.instance.uuid)
        asked = observations.latest(session, context.migration.id, Side.DESTINATION.value)
    return seen is not None or (asked is not None and Seen.from_facts(asked).exists)


def _own_files(context: StepContext) -> list[str]:
    data = context.data
    moved = [disk.path for disk in data.moved_files]
    return moved if data.is_shared_instance_path else [*moved, *data.removable_files]


def _is_the_same(path: str, context: StepContext) -> bool:
    """Whether a copied disk is still the file that was copied; what is not a disk has no such proof, and needs none."""
    inode = context.facts["migrate"].get("inodes", {}).get(path)
    try:
        return inode is None or Path(path).stat().st_ino == inode
    except FileNotFoundError:
        return False


def _unlink(path: Path) -> bool:
    try:
        path.unlink()
    except FileNotFoundError:
        return False
    return True
