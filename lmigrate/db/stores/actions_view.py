"""Reading instance actions and their events."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from lmigrate.db.models import InstanceAction, InstanceActionEvent
from lmigrate.db.stores.paging import newest_first


@dataclass(frozen=True)
class ActionFilter:
    """Which actions of an instance; a field left at None asks for nothing."""

    changed_since: datetime | None = None
    changed_before: datetime | None = None


def page(session: Session, instance_uuid: str, wanted: ActionFilter, limit: int, after: InstanceAction | None) -> list[InstanceAction]:
    """At most ``limit`` actions of an instance, newest first, after one of them."""
    query = select(InstanceAction).where(InstanceAction.instance_uuid == instance_uuid)
    if wanted.changed_since is not None:
        query = query.where(InstanceAction.updated_at >= wanted.changed_since)
    if wanted.changed_before is not None:
        query = query.where(InstanceAction.updated_at <= wanted.changed_before)
    last = None if after is None else (after.started_at, after.id)
    return list(session.scalars(newest_first(query, InstanceAction.started_at, InstanceAction.id, last, limit)))


def find(session: Session, instance_uuid: str, request_id: str) -> InstanceAction | None:
    """The action of an instance that a request began, or None."""
    query = select(InstanceAction).where(InstanceAction.instance_uuid == instance_uuid, InstanceAction.request_id == request_id)
    return session.scalar(query.order_by(InstanceAction.id).limit(1))


def events(session: Session, action: InstanceAction) -> list[InstanceActionEvent]:
    """The events of an action, newest first as Nova lists them."""
    query = select(InstanceActionEvent).where(InstanceActionEvent.action_id == action.id)
    return list(session.scalars(query.order_by(InstanceActionEvent.id.desc())))
