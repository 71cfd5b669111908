"""Servers (guests) in ``/v1``."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from api.contract import Shape
from api.v1.schemas.paging import NAME, Moment, Page, PageQuery
from lmigrate.states import PendingRequest


class Forgotten(Shape):
    """The guest of which nothing is on record any more."""

    uuid: str


class DiskAccess(Shape):
    """One host's access to the volume, for this guest."""

    uuid: str
    host: str
    state: str = Field(description="granting, granted or revoking.")
    is_used: bool = Field(description="The guest uses the disk through this one.")


class DiskVolume(Shape):
    """The registered volume that a disk is."""

    uuid: str
    name: str
    backend: str
    source_name: str
    size_bytes: int
    attachments: list[DiskAccess]


class Disk(Shape):
    """One disk."""

    device: str = Field(description="libvirt's target device.")
    type: str
    bus: str | None
    source_type: str
    destination_type: str = Field(description="local or volume.")
    path: str | None
    protocol: str | None = Field(description="Of a network disk: iscsi, nbd, rbd.")
    source_name: str | None = Field(description="Of a network disk: what the domain calls it.")
    volume: DiskVolume | None = Field(description="null: local, or not registered.")
    format: str | None
    serial: str | None
    is_read_only: bool
    is_shareable: bool
    capacity_bytes: int | None
    allocation_bytes: int | None


class Sighting(Shape):
    """What one host's libvirt last said of the domain."""

    host: str
    name: str
    power_state: str
    reason: str
    is_persistent: bool
    note: str | None = Field(description="What is remarkable about it, though not wrong.")
    seen_at: Moment


class Server(Shape):
    """A guest."""

    uuid: str
    name: str
    host: str | None = Field(description="Where it runs.")
    vm_state: str
    task_state: str | None
    power_state: str
    memory_mib: int
    vcpus: int
    virt_type: str
    is_persistent: bool
    progress: int = Field(description="Percent of the running migration.")
    anomaly: str | None = Field(description="What is wrong with it, in one sentence; such a guest is not moved.")
    migration_id: int | None = Field(description="The migration that has not ended.")
    pending_request: PendingRequest | None = Field(description="What was asked of that migration and has not come about.")
    updated_at: Moment


class ServerDetail(Server):
    """A guest with its disks and where its domain was seen."""

    disks: list[Disk]
    sightings: list[Sighting]
    launched_at: Moment
    created_at: Moment


class Servers(Page):
    """A page of guests, newest first."""

    servers: list[Server]


class ServersQuery(PageQuery):
    """Which guests."""

    name: Annotated[str, Field(pattern=NAME, max_length=255, description="Part of the name; ^ and $ anchor it.")] | None = None
    host: Annotated[str, Field(pattern=NAME, max_length=63)] | None = None
    anomaly: bool | None = Field(None, description="true: only those with something wrong.")
