"""Availability zones and hosts, as old clients ask for them."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from api.nova.versioned import Versioned


class ZoneState(BaseModel):
    """Whether a zone can be used."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    available: bool


class ServiceState(BaseModel):
    """Whether a service of a host can be used."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    active: bool
    available: bool
    updated_at: str = Field(description="UTC, without saying so.")


class Zone(Versioned):
    """A zone."""

    name: str = Field(serialization_alias="zoneName")
    state: ZoneState = Field(serialization_alias="zoneState")
    hosts: dict[str, dict[str, ServiceState]] | None


class ZonesAnswer(Versioned):
    """All zones: one."""

    zones: list[Zone] = Field(serialization_alias="availabilityZoneInfo")


class ZoneHost(Versioned):
    """One service of a host."""

    host_name: str
    service: str
    zone: str


class HostsAnswer(Versioned):
    """The enabled hosts."""

    hosts: list[ZoneHost]


class Resource(BaseModel):
    """What there is, or is used, of a host: memory in MiB, disk in GiB."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    host: str
    project: str
    cpu: int
    memory_mb: int
    disk_gb: int


class HostResource(BaseModel):
    """One line of a host's resources."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    resource: Resource


class HostAnswer(Versioned):
    """A host's resources: in all, used, and by project."""

    host: Annotated[list[HostResource], Field(min_length=1)]


Switch = Literal["enable", "disable", "Enable", "Disable", "ENABLE", "DISABLE"]


class HostChange(BaseModel):
    """2.1: at least one of both."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    status: Switch | None = None
    maintenance_mode: Switch | None = None

    @model_validator(mode="after")
    def _one(self) -> Self:
        if self.status is None and self.maintenance_mode is None:
            raise ValueError(f"{self.model_dump(exclude_none=True)} is not valid under any of the given schemas")
        return self


HOST_CHANGE: dict[str, type[BaseModel]] = {"2.1": HostChange}
