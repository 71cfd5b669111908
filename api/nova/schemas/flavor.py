"""Flavors: there are none to choose from, but a server's own can be shown."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from api.nova.versioned import Versioned, since, until
from api.pagination import Link


class FlavorShown(Versioned):
    """What one size of server has of CPUs and memory (MiB); its disks are the server's own, so that here they are 0."""

    id: str
    name: str
    vcpus: int
    ram: int
    disk: int = 0
    swap_text: Annotated[str, until("2.74"), Field(serialization_alias="swap")] = ""
    swap: Annotated[int, since("2.75")] = 0
    ephemeral: int = Field(0, serialization_alias="OS-FLV-EXT-DATA:ephemeral")
    disabled: bool = Field(False, serialization_alias="OS-FLV-DISABLED:disabled")
    is_public: bool = Field(True, serialization_alias="os-flavor-access:is_public")
    rxtx_factor: float = 1.0
    links: list[Link]
    description: Annotated[str | None, since("2.55")] = None
    extra_specs: Annotated[dict[str, str], since("2.61")] = Field({})


class FlavorsAnswer(Versioned):
    """No flavors."""

    flavors: list[str] = Field([], max_length=0)


class FlavorAnswer(Versioned):
    """One flavor."""

    flavor: FlavorShown


class ExtraSpecsAnswer(Versioned):
    """What else a flavor asks for: nothing."""

    extra_specs: dict[str, str] = Field({})
