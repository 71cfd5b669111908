"""``os-migrateLive``, as each microversion takes it."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from api.nova.leniency import Boolean, BooleanOrAuto, HostName


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class LiveMigrate(_Strict):
    """2.1: all three are required; a named host bypasses the scheduler."""

    host: HostName | None
    block_migration: Boolean
    disk_over_commit: Boolean


class LiveMigrate225(_Strict):
    """2.25: ``auto`` decides by what the hosts share; disk_over_commit is gone."""

    host: HostName | None
    block_migration: BooleanOrAuto


class LiveMigrate230(LiveMigrate225):
    """2.30: a named host is checked by the scheduler, unless ``force``."""

    force: Boolean = False


class LiveMigrate268(LiveMigrate225):
    """2.68: force is gone."""


class LiveMigrateBody(_Strict):
    """The body at 2.1."""

    request: LiveMigrate = Field(alias="os-migrateLive")


class LiveMigrateBody225(_Strict):
    """The body at 2.25."""

    request: LiveMigrate225 = Field(alias="os-migrateLive")


class LiveMigrateBody230(_Strict):
    """The body at 2.30."""

    request: LiveMigrate230 = Field(alias="os-migrateLive")


class LiveMigrateBody268(_Strict):
    """The body at 2.68."""

    request: LiveMigrate268 = Field(alias="os-migrateLive")


LIVE_MIGRATE: dict[str, type[BaseModel]] = {
    "2.1": LiveMigrateBody,
    "2.25": LiveMigrateBody225,
    "2.30": LiveMigrateBody230,
    "2.68": LiveMigrateBody268,
}
