"""A server as each microversion shows it."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from api.nova.times import Moment
from api.nova.versioned import OmitNone, Versioned, since, until
from api.pagination import Link


class VolumeAttached(Versioned):
    """A volume of the server."""

    id: str
    delete_on_termination: Annotated[bool, since("2.3")] = False


class FlavorLink(Versioned):
    """There are no flavors here: the id is made from what the server has."""

    id: str
    links: list[Link]


class Flavor(Versioned):
    """What the server has of CPUs, memory (MiB) and disk (GiB)."""

    original_name: str
    vcpus: int
    ram: int
    disk: int
    ephemeral: int = 0
    swap: int = 0
    extra_specs: dict[str, str] = Field(default_factory=dict)


class Server(Versioned):
    """A server with everything that Nova tells of it."""

    id: str
    name: str
    status: str
    tenant_id: str
    user_id: str
    created: Moment
    updated: Moment
    host_id: str = Field(serialization_alias="hostId")
    access_ipv4: str = Field("", serialization_alias="accessIPv4")
    access_ipv6: str = Field("", serialization_alias="accessIPv6")
    addresses: dict[str, list[str]] = Field(default_factory=dict)
    metadata: dict[str, str] = Field(default_factory=dict)
    links: list[Link]
    image: str = ""
    flavor_link: Annotated[FlavorLink, until("2.46"), Field(serialization_alias="flavor")]
    flavor: Annotated[Flavor, since("2.47")]
    progress: Annotated[int | None, OmitNone()] = None
    config_drive: str = ""
    key_name: str | None = None
    disk_config: str = Field("MANUAL", serialization_alias="OS-DCF:diskConfig")
    availability_zone: str = Field(serialization_alias="OS-EXT-AZ:availability_zone")
    host: str | None = Field(serialization_alias="OS-EXT-SRV-ATTR:host")
    instance_name: str = Field(serialization_alias="OS-EXT-SRV-ATTR:instance_name")
    hypervisor_hostname: str | None = Field(serialization_alias="OS-EXT-SRV-ATTR:hypervisor_hostname")
    task_state: str | None = Field(serialization_alias="OS-EXT-STS:task_state")
    vm_state: str = Field(serialization_alias="OS-EXT-STS:vm_state")
    power_state: int = Field(serialization_alias="OS-EXT-STS:power_state")
    launched_at: Moment | None = Field(serialization_alias="OS-SRV-USG:launched_at")
    terminated_at: Moment | None = Field(None, serialization_alias="OS-SRV-USG:terminated_at")
    volumes_attached: list[VolumeAttached] = Field(default_factory=list, serialization_alias="os-extended-volumes:volumes_attached")
    hostname: Annotated[str, since("2.3"), Field(serialization_alias="OS-EXT-SRV-ATTR:hostname")]
    root_device_name: Annotated[str | None, since("2.3"), Field(serialization_alias="OS-EXT-SRV-ATTR:root_device_name")] = None
    reservation_id: Annotated[str | None, since("2.3"), Field(serialization_alias="OS-EXT-SRV-ATTR:reservation_id")] = None
    launch_index: Annotated[int, since("2.3"), Field(serialization_alias="OS-EXT-SRV-ATTR:launch_index")] = 0
    kernel_id: Annotated[str, since("2.3"), Field(serialization_alias="OS-EXT-SRV-ATTR:kernel_id")] = ""
    ramdisk_id: Annotated[str, since("2.3"), Field(serialization_alias="OS-EXT-SRV-ATTR:ramdisk_id")] = ""
    user_data: Annotated[str | None, since("2.3"), Field(serialization_alias="OS-EXT-SRV-ATTR:user_data")] = None
    locked: Annotated[bool, since("2.9")] = False
    host_status: Annotated[str, since("2.16")]
    description: Annotated[str | None, since("2.19")]
    tags: Annotated[list[str], since("2.26")] = Field(default_factory=list)
    trusted_image_certificates: Annotated[list[str] | None, since("2.63")] = None
    server_groups: Annotated[list[str] | None, since("2.71"), OmitNone()] = None  # shown, but not in lists
    locked_reason: Annotated[str | None, since("2.73")] = None
    pinned_availability_zone: Annotated[str | None, since("2.96")] = None


class ServerLink(Versioned):
    """A server in the short list."""

    id: str
    name: str
    links: list[Link]


class ServerAnswer(Versioned):
    """One server."""

    server: Server


class ServersAnswer(Versioned):
    """A page of servers, in short."""

    servers: list[ServerLink]
    servers_links: Annotated[list[Link] | None, OmitNone()] = None


class ServersDetailAnswer(Versioned):
    """A page of servers."""

    servers: list[Server]
    servers_links: Annotated[list[Link] | None, OmitNone()] = None
