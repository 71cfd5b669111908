"""A plan in ``/v1``: what a migration would do."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from api.contract import Shape
from api.v1.schemas.paging import NAME


class PlanQuery(Shape):
    """Where to."""

    host: Annotated[str, Field(pattern=NAME, max_length=63)] | None = Field(
        None, description="Judge this destination alone; without: every host."
    )


class PlannedDestination(Shape):
    """A host that the scheduler would consider."""

    host: str
    is_fit: bool
    reasons: list[str] = Field(description="Everything that speaks against it.")


class PlannedDisk(Shape):
    """What becomes of a disk."""

    device: str = Field(description="libvirt's target device.")
    source_type: str
    destination_type: str = Field(description="local or volume.")
    path: str | None
    source_name: str | None = Field(description="Of a network disk: what the domain calls it.")
    volume: str | None = Field(description="The registered volume's name.")
    backend: str | None = Field(description="The volume's backend.")
    is_copied: bool | None = Field(description="null: if the destination does not share its directory, which only the hosts can tell.")
    size_bytes: int | None = Field(description="What the guest sees.")


class Plan(Shape):
    """What a live migration of the guest would do now, by the records.  Nothing is reserved."""

    server: str = Field(description="The guest's UUID.")
    name: str
    source_host: str | None
    is_migratable: bool = Field(description="Nothing that is known keeps the guest where it is; whether a host is fit is said below.")
    obstacles: list[str] = Field(description="Every reason why a request would be refused now, or fail because of its source or disks.")
    destinations: list[PlannedDestination] = Field(description="The fit ones first, in the order in which they would be chosen.")
    disks: list[PlannedDisk]
    not_checked: list[str] = Field(description="What only the hosts can tell; a migration asks them before it changes anything.")
