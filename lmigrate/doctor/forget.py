"""Forgetting a guest that is gone for good: what only a person can know of one whose domain has vanished."""

from __future__ import annotations

from lmigrate.db.models import Instance
from lmigrate.db.session import Session, writing
from lmigrate.db.stores import access, instances, sightings, volumes
from lmigrate.errors import ForgetRefused, InstanceNotFound
from lmigrate.host.reconcile import Anomaly


def forget(instance_uuid: str) -> None:
    """Remove the record of a guest that no host has, with the history of its migrations.

    Access to its volumes is marked as being taken back, which the storage daemon's sweep does.  If any host sees its
    domain again, a new record is made.

    Raises:
        InstanceNotFound: there is no such record.
        ForgetRefused: it is not known to have vanished, or is still somebody's business.
    """
    with writing() as session:
        instance = instances.lock(session, instance_uuid)
        if instance is None:
            raise InstanceNotFound(instance=instance_uuid)
        reason = _why_not(session, instance)
        if reason is not None:
            raise ForgetRefused(instance=instance_uuid, reason=reason)
        volumes.begin_revoke(session, volumes.all_attachments(session, instance_uuid))
        session.delete(instance)


def _why_not(session: Session, instance: Instance) -> str | None:
    if instance.task_state is not None or access.moving(session, [instance.uuid]):
        return "a migration of it has not ended."
    hosts = [row.host for row in sightings.of_instances(session, [instance.uuid]).get(instance.uuid, [])]
    if hosts:
        return f"{', '.join(sorted(hosts))} has its domain: undefine it there first."
    if Anomaly.of(instance.anomaly or "") is not Anomaly.VANISHED:
        return f"its domain is not known to have vanished from {instance.host}: that is seen within a minute after it was undefined."
    return None
