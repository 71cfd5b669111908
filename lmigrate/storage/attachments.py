"""Taking access back: the storage first, the row last."""

from __future__ import annotations

from collections.abc import Sequence

from lmigrate.db.models import Volume, VolumeAttachment
from lmigrate.db.session import reading, writing
from lmigrate.db.stores import access, volumes
from lmigrate.faults import failpoint
from lmigrate.storage.circuit import asking
from lmigrate.storage.drivers.base import Connector, Driver, VolumeRef


def revoke_all(rows: Sequence[tuple[Volume, VolumeAttachment]], driver: Driver) -> None:
    """Revoke each attachment and delete its row; twice is once.

    A host that needs the volume for another guest keeps its access: storage lets hosts in, not guests.
    What is left of the attachment there (an account) is found by the audit, for no row names it.

    Raises:
        StorageError: the storage refuses or does not answer; what is left can be revoked again.
    """
    with writing() as session:
        volumes.begin_revoke(session, [row for _, row in rows])
    for volume, row in rows:
        _revoke(volume, row, driver)


def revoke_leftover(volume: Volume, row: VolumeAttachment, driver: Driver) -> bool:
    """The same for one that nobody needed when it was read.  False: that is not so any more, and it was left alone.

    Raises:
        StorageError: as above.
    """
    with writing() as session:
        is_ours = access.claim_leftover(session, row)
    if is_ours:
        _revoke(volume, row, driver)
    return is_ours


def _revoke(volume: Volume, row: VolumeAttachment, driver: Driver) -> None:
    """Revoke one whose row says already that it is being taken back."""
    failpoint("revoke.before")
    with reading() as session:
        is_kept = volumes.is_needed_by_others(session, row)
    if not is_kept:
        connector = Connector.from_json(row.connector)
        with asking(volume.backend):
            driver.revoke(VolumeRef(volume.uuid, volume.location), connector, row.uuid, instance_uuid=row.instance_uuid)
    failpoint("revoke.after")
    with writing() as session:
        volumes.finish_revoke(session, row.uuid)
