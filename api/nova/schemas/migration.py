"""Migrations, as seen from a server and as a list of all."""

from __future__ import annotations

from typing import Annotated, Literal

from api.nova.times import Moment
from api.nova.versioned import OmitNone, Versioned, since
from api.pagination import Link


class ServerMigration(Versioned):
    """A migration in progress.  Byte counts are null until they are known: Nova's own schema forbids 0."""

    id: int
    uuid: Annotated[str, since("2.59")]
    server_uuid: str
    status: str
    source_compute: str | None
    source_node: str | None
    dest_compute: str | None
    dest_node: str | None
    dest_host: str | None
    memory_total_bytes: int | None
    memory_processed_bytes: int | None
    memory_remaining_bytes: int | None
    disk_total_bytes: int | None
    disk_processed_bytes: int | None
    disk_remaining_bytes: int | None
    created_at: Moment
    updated_at: Moment
    user_id: Annotated[str | None, since("2.80")]
    project_id: Annotated[str | None, since("2.80")]


class Migration(Versioned):
    """Any migration, also one that has ended."""

    id: int
    uuid: Annotated[str, since("2.59")]
    instance_uuid: str
    status: str
    migration_type: Annotated[Literal["live-migration"], since("2.23")] = "live-migration"
    source_compute: str | None
    source_node: str | None
    dest_compute: str | None
    dest_node: str | None
    dest_host: str | None
    old_instance_type_id: int | None = None
    new_instance_type_id: int | None = None
    created_at: Moment
    updated_at: Moment
    user_id: Annotated[str | None, since("2.80")]
    project_id: Annotated[str | None, since("2.80")]
    links: Annotated[list[Link] | None, since("2.23"), OmitNone()] = None  # while in progress


class ServerMigrationAnswer(Versioned):
    """One migration in progress."""

    migration: ServerMigration


class ServerMigrationsAnswer(Versioned):
    """The migrations of a server that are in progress: none or one."""

    migrations: list[ServerMigration]


class MigrationsAnswer(Versioned):
    """A page of migrations, newest first."""

    migrations: list[Migration]
    migrations_links: Annotated[list[Link] | None, since("2.59"), OmitNone()] = None
