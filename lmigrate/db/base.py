"""The declarative base of all models."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, BigInteger, Integer, MetaData
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import DeclarativeBase

from lmigrate.db.types import EnumValue, UtcDateTime
from lmigrate.states import (
    AttachmentState,
    HoldReason,
    LeakKind,
    MigrationStatus,
    Phase,
    PowerState,
    Role,
    StepState,
    TaskState,
    VmState,
    VolumeState,
)

#: batch mode (SQLite cannot alter a table) finds constraints by name
NAMING = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}

#: 64 bits everywhere; SQLite numbers rows by itself only in a plain INTEGER
RowId = BigInteger().with_variant(Integer, "sqlite")
Json = JSON().with_variant(JSONB, "postgresql")


class Base(DeclarativeBase):
    """Base of all models: explicit names, UTC moments, enums by value."""

    metadata = MetaData(naming_convention=NAMING)
    type_annotation_map = {  # noqa: RUF012 - SQLAlchemy's own way of declaring it
        datetime: UtcDateTime,
        int: BigInteger,
        dict[str, Any]: Json,
        list[dict[str, Any]]: Json,
        list[str]: Json,
        AttachmentState: EnumValue(AttachmentState),
        HoldReason: EnumValue(HoldReason),
        LeakKind: EnumValue(LeakKind),
        MigrationStatus: EnumValue(MigrationStatus),
        StepState: EnumValue(StepState),
        Phase: EnumValue(Phase),
        VmState: EnumValue(VmState),
        TaskState: EnumValue(TaskState),
        PowerState: EnumValue(PowerState),
        VolumeState: EnumValue(VolumeState),
        Role: EnumValue(Role),
    }
