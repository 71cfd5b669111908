"""Disks of an instance, as its domain has them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from lmigrate.db.models import BlockDeviceMapping


def of_instance(session: Session, instance_uuid: str) -> list[BlockDeviceMapping]:
    """The disks, by device name."""
    query = select(BlockDeviceMapping).where(BlockDeviceMapping.instance_uuid == instance_uuid)
    return list(session.scalars(query.order_by(BlockDeviceMapping.device_name)))


def replace(session: Session, instance_uuid: str, wanted: Sequence[Mapping[str, Any]]) -> None:
    """Make the rows equal to ``wanted``: column values, ``device_name`` among them."""
    present = {row.device_name: row for row in of_instance(session, instance_uuid)}
    for values in wanted:
        row = present.pop(values["device_name"], None)
        if row is None:
            session.add(BlockDeviceMapping(instance_uuid=instance_uuid, **values))
        else:
            _set(row, values)
    for row in present.values():
        session.delete(row)


def _set(row: BlockDeviceMapping, values: Mapping[str, Any]) -> None:
    for name, value in values.items():
        if getattr(row, name) != value:
            setattr(row, name, value)
