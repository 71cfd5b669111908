"""Query strings of Nova's lists.  Where Nova ignores what it does not know, so do these; where it refuses, these refuse."""

from __future__ import annotations

from typing import Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from api.nova.leniency import Boolean, DateTime, HostName, NonNegative


class Lenient(BaseModel):
    """Unknown parameters are ignored."""

    model_config = ConfigDict(extra="ignore", frozen=True)


class Paged(Lenient):
    """``limit`` and ``marker``."""

    limit: NonNegative | None = None
    marker: str | None = None


class Changes(Paged):
    """A span of last changes."""

    changes_since: DateTime | None = Field(None, alias="changes-since")
    changes_before: DateTime | None = Field(None, alias="changes-before")

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.changes_since and self.changes_before and self.changes_before < self.changes_since:
            raise ValueError("The value of changes-since must be less than or equal to changes-before.")
        return self


class ServersQuery(Changes):
    """Filters of the list of servers."""

    name: str | None = Field(None, description="Part of the name, or a simple regular expression.")
    hostname: str | None = None
    instance_name: str | None = None
    host: str | None = None
    node: str | None = None
    status: str | None = None
    vm_state: str | None = None
    task_state: str | None = None
    power_state: NonNegative | None = None
    uuid: str | None = None
    flavor: str | None = None
    project_id: str | None = None
    user_id: str | None = None
    all_tenants: str | None = None
    tenant_id: str | None = None
    deleted: str | None = None
    locked: str | None = None
    sort_key: str | None = None
    sort_dir: str | None = None
    image: str | None = None
    ip: str | None = None
    ip6: str | None = None
    access_ip_v4: str | None = None
    access_ip_v6: str | None = None
    key_name: str | None = None
    reservation_id: str | None = None
    tags: str | None = None
    tags_any: str | None = Field(None, alias="tags-any")
    not_tags: str | None = Field(None, alias="not-tags")
    not_tags_any: str | None = Field(None, alias="not-tags-any")


#: filters by what no server here has; a server without tags passes those that begin with "not"
NEVER_HERE = ("image", "ip", "ip6", "access_ip_v4", "access_ip_v6", "key_name", "reservation_id", "tags", "tags_any")


class ServersQuery275(ServersQuery):
    """2.75: what is not known is refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class MigrationsQuery(Lenient):
    """2.1: filters of the list of migrations."""

    host: str | None = None
    instance_uuid: str | None = None
    source_compute: str | None = None
    status: str | None = None
    migration_type: str | None = None
    hidden: str | None = None


class MigrationsQuery259(MigrationsQuery, Paged):
    """2.59: pages, and changes since; what is not known is refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    changes_since: DateTime | None = Field(None, alias="changes-since")


class MigrationsQuery266(MigrationsQuery, Changes):
    """2.66: changes before."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class MigrationsQuery280(MigrationsQuery266):
    """2.80: by user and project."""

    user_id: str | None = None
    project_id: str | None = None


class HypervisorsQuery253(BaseModel):
    """2.53: by part of the name, with the servers on each."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    limit: NonNegative | None = None
    marker: str | None = None
    hypervisor_hostname_pattern: HostName | None = None
    with_servers: Boolean = False


class HypervisorQuery253(BaseModel):
    """2.53: with the servers on it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    with_servers: Boolean = False


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


class ActionsQuery258(BaseModel):
    """2.58: pages, and changes since."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    limit: NonNegative | None = None
    marker: str | None = None
    changes_since: DateTime | None = Field(None, alias="changes-since")


class ActionsQuery266(Changes):
    """2.66: changes before."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class VolumeAttachmentsQuery(Lenient):
    """Part of the list."""

    limit: NonNegative | None = None
    offset: NonNegative = 0


SERVERS: dict[str, type[BaseModel]] = {"2.1": ServersQuery, "2.75": ServersQuery275}
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
VOLUME_ATTACHMENTS: dict[str, type[BaseModel]] = {"2.1": VolumeAttachmentsQuery}
