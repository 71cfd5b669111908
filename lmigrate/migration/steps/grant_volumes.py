"""Let the destination reach the guest's volumes."""

from __future__ import annotations

import json

from lmigrate import crypto
from lmigrate.db.models import Volume
from lmigrate.db.session import reading, writing
from lmigrate.db.stores import hosts, volumes
from lmigrate.errors import UnknownHost
from lmigrate.faults import failpoint
from lmigrate.migration.steps.base import Facts, Side, Step, StepContext
from lmigrate.states import MigrationStatus
from lmigrate.storage.attachments import revoke_all
from lmigrate.storage.circuit import asking
from lmigrate.storage.drivers.base import Connector, VolumeRef
from lmigrate.storage.drivers.registry import driver_of


class GrantVolumes(Step):
    """Grant the destination's initiator access to each of the guest's volumes on one backend.

    Do:        for each volume write the attachment's row, grant, write what the storage answered (encrypted).
    Undo:      take back the access of each attachment that this migration made, then delete its row.
    If killed: a row in `granting` may or may not stand for access: granting again and taking back are both *ensure*.
    Because:   the disks keep pointing at the source's attachments, which nothing here touches; the row comes before
               the access, so that no access can exist that no row names.
    """

    name = "grant_volumes"
    side = Side.STORAGE
    status = MigrationStatus.PREPARING

    def do(self, context: StepContext) -> Facts:
        """Facts: attachments (their UUIDs)."""
        with reading() as session:
            host = hosts.by_name(session, context.migration.dest_host or "")
            disks = volumes.of_instance(session, context.instance.uuid, context.migration.source_host, context.place)
        if host is None:
            raise UnknownHost(host=context.migration.dest_host)
        connector = Connector.from_json(host.connector)
        return {"attachments": [self._grant(context, disk.volume, connector) for disk in disks]}

    def undo(self, context: StepContext, facts: Facts | None) -> None:
        """By the rows, not by the facts: they name all the access that there can be."""
        del facts
        with reading() as session:
            rows = volumes.made_by(session, context.migration.id, context.place)
        revoke_all(rows, driver_of(context.place, context.settings.storage))

    def _grant(self, context: StepContext, volume: Volume, connector: Connector) -> str:
        with writing() as session:
            row = volumes.begin_grant(
                session, volume.uuid, context.instance.uuid, connector.host, connector.to_json(), context.migration.id
            )
        failpoint("grant.before")
        driver = driver_of(context.place, context.settings.storage)
        with asking(context.place):
            info = driver.grant(VolumeRef(volume.uuid, volume.location), connector, row.uuid, instance_uuid=context.instance.uuid)
        failpoint("grant.after")
        token = crypto.encrypt(json.dumps(info.to_json()), context.settings.secrets.plain_keys)
        with writing() as session:
            volumes.finish_grant(session, row.uuid, token)
        return row.uuid
