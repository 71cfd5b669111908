"""Remove what the guest left behind on the source."""

from __future__ import annotations

from pathlib import Path

from lmigrate.db.session import reading
from lmigrate.db.stores import volumes
from lmigrate.errors import OutcomeUnknown
from lmigrate.migration.connections import secret_uuid
from lmigrate.migration.steps.base import Facts, Side, Step, StepContext
from lmigrate.states import MigrationStatus


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
        self._leave_domain(context)
        self._forget_secrets(context)
        removed = [path for path in _own_files(context) if _unlink(Path(path))]
        return {"removed": removed, "kept": self._leave_directory(context)}

    def _leave_domain(self, context: StepContext) -> None:
        hypervisor, uuid = context.hypervisor, context.instance.uuid
        domain = hypervisor.domain(uuid)
        if domain is None:
            return
        if domain.is_active:
            state = f"{domain.power_state.value} ({domain.reason})"
            raise OutcomeUnknown(reason=f"the guest runs on {context.migration.dest_host}, but the source still has it: {state}")
        hypervisor.undefine(uuid)

    def _forget_secrets(self, context: StepContext) -> None:
        with reading() as session:
            rows = volumes.attachments(session, context.instance.uuid, context.migration.source_host)
        for row in rows:
            context.hypervisor.undefine_secret(secret_uuid(row.uuid))

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


def _own_files(context: StepContext) -> list[str]:
    data = context.data
    moved = [disk.path for disk in data.moved_files]
    return moved if data.is_shared_instance_path else [*moved, *_flattened(context), *data.removable_files]


def _flattened(context: StepContext) -> list[str]:
    """Images below the copied ones (after a snapshot) in the guest's own directory: their content is in the copy."""
    if context.facts["pre_live_migration"]["copy_mode"] != "full":
        return []
    directory = Path(context.data.source_instances_path) / context.instance.uuid
    chain = [image["path"] for disk in context.data.copied_disks for image in disk.backing]
    return [path for path in chain if Path(path).is_relative_to(directory)]


def _unlink(path: Path) -> bool:
    try:
        path.unlink()
    except FileNotFoundError:
        return False
    return True
