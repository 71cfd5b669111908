"""Shut the source out of the guest's volumes."""

from __future__ import annotations

from lmigrate.db.session import reading
from lmigrate.db.stores import volumes
from lmigrate.migration.steps.base import Facts, Side, Step, StepContext
from lmigrate.states import MigrationStatus
from lmigrate.storage.attachments import revoke_all
from lmigrate.storage.drivers.registry import driver_of


class RevokeVolumes(Step):
    """Take back the source's access to the guest's volumes on one backend.

    Do:        only when the guest has been proven on the destination and the source holds no domain any more;
               revoke each of the source's attachments, then delete its row.
    Undo:      there is no way back.
    If killed: rows that are left stand for access that may be left: revoking again is *ensure*.
    Because:   at the end only the destination may write, and the storage itself has to say so.
    """

    name = "revoke_volumes"
    side = Side.STORAGE
    status = MigrationStatus.POST_MIGRATING

    def do(self, context: StepContext) -> Facts:
        """Facts: revoked (the attachments' UUIDs)."""
        with reading() as session:
            disks = volumes.of_instance(session, context.instance.uuid, context.migration.source_host, context.place)
        rows = [(disk.volume, disk.attachment) for disk in disks if disk.attachment is not None]
        revoke_all(rows, driver_of(context.place, context.settings.storage))
        return {"revoked": [row.uuid for _, row in rows]}
