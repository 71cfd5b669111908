"""Volumes and attachments in ``/v1``.  What a host logs in with is in none of them."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field

from api.contract import Shape
from api.v1.schemas.paging import NAME, Moment, Page, PageQuery

Name = Annotated[str, Field(pattern=NAME, max_length=255)]
Backend = Annotated[str, Field(pattern=NAME, max_length=63, description="Its name in the settings (storage.backends).")]


class Attachment(Shape):
    """One host's access to one volume for one guest."""

    uuid: str
    volume_uuid: str
    host: str
    state: str = Field(description="granting, granted or revoking.")
    server_uuid: str
    server_name: str | None = Field(description="null: the guest has not been seen yet.")
    device: str | None = Field(description="The guest's disk that is this volume.")
    is_used: bool = Field(description="The guest uses its disk through this one.")
    migration_id: int | None = Field(description="The migration that made it, as long as the guest has not arrived.")
    created_at: Moment
    updated_at: Moment


class Volume(Shape):
    """A volume on shared block storage."""

    uuid: str
    name: str
    backend: str
    source_name: str | None = Field(description="What domains call it; null: the storage has not told it yet.")
    size_bytes: int | None = Field(description="null: the storage has not told it yet.")
    state: str = Field(description="registering, available or error.")
    error: str | None = Field(description="Why the storage refused it.")
    hosts: list[str] = Field(description="Hosts that may reach it.")
    created_at: Moment


class VolumeDetail(Volume):
    """A volume with the access there is to it."""

    attachments: list[Attachment]


class Volumes(Page):
    """A page of volumes, newest first."""

    volumes: list[Volume]


class Attachments(Shape):
    """The access that hosts have to a volume."""

    attachments: list[Attachment]


class VolumesQuery(PageQuery):
    """Which volumes."""

    backend: Backend | None = None
    name: Name | None = None


class NewVolume(Shape):
    """A volume that exists on the storage, to be made known; either by its source name or by its location."""

    name: Name
    backend: Backend
    source_name: Annotated[str, Field(pattern=NAME, max_length=255, description="What domains call it: <source name='…'>.")] | None = None
    location: dict[str, Any] | None = Field(None, description="Where the backend's driver finds it.")
