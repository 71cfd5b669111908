"""Hosts in ``/v1``."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import ConfigDict, Field, StringConstraints

from api.contract import Shape
from api.v1.schemas.paging import NAME, Moment, Page, PageQuery

#: something to read, and no NUL, which nothing can store
REASON = r"^[^\x00]*[^\x00\s][^\x00]*$"


class HostUseShape(Shape):
    """What is used of a host."""

    instances: int = Field(description="Guests whose host this is, running or not.")
    running: int
    vcpus: int = Field(description="vCPUs of running guests.")
    memory_mib: int = Field(description="Memory of running guests.")
    reserved_vcpus: int = Field(description="Held for guests on their way here.")
    reserved_memory_mib: int = Field(description="Held for guests on their way here.")
    outgoing: int = Field(description="Migrations away from here that are in progress.")
    incoming: int = Field(description="Migrations to here that are in progress.")


class Host(Shape):
    """A hypervisor host."""

    name: str
    uuid: str
    state: str = Field(description="up or down.")
    down_reason: str | None = Field(description="Why it is down, in one sentence.")
    enabled: bool = Field(description="Whether the scheduler may choose it as a destination.")
    disabled_reason: str | None
    forced_down: bool
    vcpus: int
    memory_mib: int
    reserved_memory_mib: int = Field(description="Memory that is left to the host itself.")
    disk_total_bytes: int
    disk_free_bytes: int
    use: HostUseShape
    last_seen_at: Moment = Field(description="The daemon's last heartbeat.")


class HostDetail(Host):
    """A host with what its daemon found out about it."""

    service_uuid: str
    hypervisor_type: str
    libvirt_version: str
    qemu_version: str
    virt_types: list[str]
    cpu: dict[str, Any]
    instances_path: str
    migration_address: str
    connector: dict[str, Any] = Field(
        description="How storage knows it: host, initiator, address; protocols that its QEMU opens; whether multipathd runs."
    )
    tls_ready: bool
    tls_reason: str | None
    epoch: str = Field(description="New at each start of the daemon.")
    started_at: Moment
    created_at: Moment


class Hosts(Page):
    """A page of hosts, in the order in which they registered."""

    hosts: list[Host]


class HostsQuery(PageQuery):
    """Which hosts."""

    name: Annotated[str, Field(pattern=NAME, max_length=63, description="Part of the name.")] | None = None


class HostChange(Shape):
    """The switch of a host: a disabled host is no destination, its guests may leave."""

    model_config = ConfigDict(
        json_schema_extra={
            "not": {"properties": {"enabled": {"const": True}, "reason": {"type": "string"}}, "required": ["enabled", "reason"]}
        },
    )

    enabled: Annotated[bool, Field(strict=True)]
    reason: Annotated[str, StringConstraints(strip_whitespace=True, pattern=REASON, max_length=255)] | None = Field(
        None,
        description="Why it is disabled; not with enabled: true.",
    )
