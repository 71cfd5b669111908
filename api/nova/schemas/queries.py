"""Query strings of Nova's lists.  Where Nova ignores what it does not know, so do these; where it refuses, these refuse."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from api.nova.leniency import Boolean, DateTime, HostName, NonNegative, Once


class Lenient(BaseModel):
    """Unknown parameters are ignored."""

    model_config = ConfigDict(extra="ignore", frozen=True)


class Paged(Lenient):
    """``limit`` and ``marker``."""

    limit: NonNegative | None = None
    marker: str | None = None


class PagedOnce(Paged):
    """The same, neither given twice."""

    limit: Annotated[NonNegative | None, Once()] = None
    marker: Annotated[str | None, Once()] = None


class Since(PagedOnce):
    """What has changed since then."""

    changes_since: Annotated[DateTime | None, Once()] = Field(None, alias="changes-since")


class Changes(Since):
    """A span of last changes."""

    changes_before: Annotated[DateTime | None, Once()] = Field(None, alias="changes-before")

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.changes_since and self.changes_before and self.changes_before < self.changes_since:
            raise ValueError("The value of changes-since must be less than or equal to changes-before.")
        return self


class MigrationsQuery(Lenient):
    """2.1: filters of the list of migrations."""

    host: str | None = None
    instance_uuid: str | None = None
    source_compute: str | None = None
    status: str | None = None
    migration_type: str | None = None
    hidden: str | None = None


class MigrationsQuery259(MigrationsQuery, Since):
    """2.59: pages, and changes since; what is not known is refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class MigrationsQuery266(MigrationsQuery, Changes):
    """2.66: changes before."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class MigrationsQuery280(MigrationsQuery266):
    """2.80: by user and project."""

    user_id: Annotated[str | None, Once()] = None
    project_id: Annotated[str | None, Once()] = None


class HypervisorsQuery253(PagedOnce):
    """2.53: by part of the name, with the servers on each."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    hypervisor_hostname_pattern: Annotated[HostName | None, Once()] = None
    with_servers: Annotated[Boolean, Once()] = False


class HypervisorQuery253(BaseModel):
    """2.53: with the servers on it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    with_servers: Annotated[Boolean, Once()] = False


class ServicesQuery(Lenient):
    """By host and kind."""

    host: str | None = None
    binary: str | None = None


class ServicesQuery275(ServicesQuery):
    """2.75: what is not known is refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class HostsQuery(Lenient):
    """By zone."""

    zone: str | None = None


class LimitsQuery(Lenient):
    """Of whom."""

    tenant_id: str | None = None


class LimitsQuery275(LimitsQuery):
    """2.75: what is not known is refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class ActionsQuery258(Since):
    """2.58: pages, and changes since."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class ActionsQuery266(Changes):
    """2.66: changes before."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class VolumeAttachmentsQuery(Lenient):
    """Part of the list."""

    limit: NonNegative | None = None
    offset: NonNegative = 0


class VolumeAttachmentsQuery275(VolumeAttachmentsQuery):
    """2.75: what is not known is refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


FlavorSortKey = Literal[
    "created_at", "description", "disabled", "ephemeral_gb", "flavorid", "id", "is_public", "memory_mb", "name",
    "root_gb", "rxtx_factor", "swap", "updated_at", "vcpu_weight", "vcpus",
]  # fmt: skip


class FlavorsQuery(Paged):
    """What narrows and orders a list of flavors; here it is empty."""

    is_public: str | None = None
    min_ram: str | None = Field(None, alias="minRam")
    min_disk: str | None = Field(None, alias="minDisk")
    sort_key: FlavorSortKey | None = None
    sort_dir: Literal["asc", "desc"] | None = None


class FlavorsQuery275(FlavorsQuery):
    """2.75: what is not known is refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


MIGRATIONS: dict[str, type[BaseModel]] = {
    "2.1": MigrationsQuery,
    "2.59": MigrationsQuery259,
    "2.66": MigrationsQuery266,
    "2.80": MigrationsQuery280,
}
HYPERVISORS: dict[str, type[BaseModel]] = {"2.1": Lenient, "2.33": Paged, "2.53": HypervisorsQuery253}
HYPERVISOR: dict[str, type[BaseModel]] = {"2.1": Lenient, "2.53": HypervisorQuery253}
SERVICES: dict[str, type[BaseModel]] = {"2.1": ServicesQuery, "2.75": ServicesQuery275}
HOSTS: dict[str, type[BaseModel]] = {"2.1": HostsQuery}
LIMITS: dict[str, type[BaseModel]] = {"2.1": LimitsQuery, "2.75": LimitsQuery275}
ACTIONS: dict[str, type[BaseModel]] = {"2.1": Lenient, "2.58": ActionsQuery258, "2.66": ActionsQuery266}
VOLUME_ATTACHMENTS: dict[str, type[BaseModel]] = {"2.1": VolumeAttachmentsQuery, "2.75": VolumeAttachmentsQuery275}
FLAVORS: dict[str, type[BaseModel]] = {"2.1": FlavorsQuery, "2.75": FlavorsQuery275}
