"""Hypervisors: one view of a host."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from api.nova.versioned import OmitNone, Versioned, between, since, until
from api.pagination import Link

State = Literal["up", "down"]
Status = Literal["enabled", "disabled"]


class HypervisorServer(Versioned):
    """A server on a hypervisor."""

    name: str
    uuid: str


class HypervisorService(Versioned):
    """The service that stands for a hypervisor."""

    number: Annotated[int, until("2.52"), Field(serialization_alias="id")]
    uuid: Annotated[str, since("2.53"), Field(serialization_alias="id")]
    host: str
    disabled_reason: str | None


class Hypervisor(Versioned):
    """A hypervisor in the short list."""

    number: Annotated[int, until("2.52"), Field(serialization_alias="id")]
    uuid: Annotated[str, since("2.53"), Field(serialization_alias="id")]
    hypervisor_hostname: str
    state: State
    status: Status
    servers: Annotated[list[HypervisorServer] | None, since("2.53"), OmitNone()] = None


class HypervisorDetail(Hypervisor):
    """A hypervisor; memory in MiB, disk in GiB."""

    hypervisor_type: str
    hypervisor_version: int
    host_ip: str | None
    service: HypervisorService
    cpu_info_text: Annotated[str, until("2.27"), Field(serialization_alias="cpu_info")]
    cpu_info: Annotated[dict[str, Any], between("2.28", "2.87")]
    vcpus: Annotated[int, until("2.87")]
    vcpus_used: Annotated[int, until("2.87")]
    memory_mb: Annotated[int, until("2.87")]
    memory_mb_used: Annotated[int, until("2.87")]
    free_ram_mb: Annotated[int, until("2.87")]
    local_gb: Annotated[int, until("2.87")]
    local_gb_used: Annotated[int, until("2.87")]
    free_disk_gb: Annotated[int, until("2.87")]
    disk_available_least: Annotated[int, until("2.87")]
    current_workload: Annotated[int, until("2.87")]
    running_vms: Annotated[int, until("2.87")]
    uptime: Annotated[str | None, since("2.88")] = None


class HypervisorsAnswer(Versioned):
    """A page of hypervisors, in short."""

    hypervisors: list[Hypervisor]
    hypervisors_links: Annotated[list[Link] | None, since("2.33"), OmitNone()] = None


class HypervisorsDetailAnswer(Versioned):
    """A page of hypervisors."""

    hypervisors: list[HypervisorDetail]
    hypervisors_links: Annotated[list[Link] | None, since("2.33"), OmitNone()] = None


class HypervisorAnswer(Versioned):
    """One hypervisor."""

    hypervisor: HypervisorDetail


class HypervisorWithServers(Hypervisor):
    """A hypervisor and its servers, as they were listed up to 2.52."""

    listed_servers: Annotated[list[HypervisorServer] | None, OmitNone(), Field(serialization_alias="servers")] = None


class HypervisorsServersAnswer(Versioned):
    """The hypervisors of a name, with their servers."""

    hypervisors: list[HypervisorWithServers]


class HypervisorUptime(Hypervisor):
    """A hypervisor in short, and since when its host runs."""

    uptime: str | None


class HypervisorUptimeAnswer(Versioned):
    """One hypervisor's uptime."""

    hypervisor: HypervisorUptime


class Statistics(Versioned):
    """All hypervisors added up; memory in MiB, disk in GiB."""

    count: int
    vcpus: int
    vcpus_used: int
    memory_mb: int
    memory_mb_used: int
    free_ram_mb: int
    local_gb: int
    local_gb_used: int
    free_disk_gb: int
    disk_available_least: int
    current_workload: int
    running_vms: int


class StatisticsAnswer(Versioned):
    """All hypervisors added up."""

    hypervisor_statistics: Statistics
