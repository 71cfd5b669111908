"""The query string of Nova's lists of servers: what narrows them, and how they are sorted."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, WithJsonSchema, model_validator

from api.nova.leniency import DateTime, Many, Regex
from api.nova.schemas.queries import Paged

#: what Nova sorts by
SORT_KEYS = (
    "access_ip_v4", "access_ip_v6", "auto_disk_config", "availability_zone", "config_drive", "created_at", "display_description",
    "display_name", "host", "hostname", "image_ref", "instance_type_id", "kernel_id", "key_name", "launch_index", "launched_at",
    "locked_by", "node", "power_state", "progress", "project_id", "ramdisk_id", "root_device_name", "task_state", "terminated_at",
    "updated_at", "user_id", "uuid", "vm_state",
)  # fmt: skip
#: what it once sorted by: taken up to 2.74, and not looked at
IGNORED_SORT_KEYS = (
    "architecture", "cell_name", "cleaned", "default_ephemeral_device", "default_swap_device", "deleted", "deleted_at",
    "disable_terminate", "ephemeral_gb", "ephemeral_key_uuid", "id", "key_data", "launched_on", "memory_mb", "os_type",
    "reservation_id", "root_gb", "shutdown_terminate", "user_data", "vcpus", "vm_mode",
)  # fmt: skip
LOCKED = "locked"  # sorted by from 2.73, ignored before


_OLD_KEYS, _KEYS = (*SORT_KEYS, LOCKED, *IGNORED_SORT_KEYS), (*SORT_KEYS, LOCKED)


def _one_of(words: tuple[str, ...]) -> Callable[[str], str]:
    def check(value: str) -> str:
        if value not in words:
            raise ValueError(f"{value!r} is not one of {list(words)}")
        return value

    return check


OldSortKey = Annotated[str, AfterValidator(_one_of(_OLD_KEYS)), WithJsonSchema({"type": "string", "enum": list(_OLD_KEYS)})]
SortKey = Annotated[str, AfterValidator(_one_of(_KEYS)), WithJsonSchema({"type": "string", "enum": list(_KEYS)})]


class ServersQuery(Paged):
    """Filters of the list of servers."""

    name: Regex | None = Field(None, description="Part of the name, or a simple regular expression.")
    display_name: Regex | None = Field(None, description="The same as name.")
    hostname: Regex | None = None
    instance_name: str | None = None
    host: str | None = None
    node: Regex | None = None
    status: Annotated[tuple[str, ...], Many()] = Field((), description="Any of them.")
    vm_state: str | None = None
    task_state: str | None = None
    power_state: Regex | None = Field(None, description="Nova's number.")
    uuid: str | None = None
    flavor: Regex | None = None
    progress: Regex | None = Field(None, description="Percent.")
    description: Regex | None = Field(None, description="Part of what is wrong with the guest.")
    display_description: Regex | None = Field(None, description="The same as description.")
    created_at: Regex | None = None
    launched_at: Regex | None = None
    terminated_at: Regex | None = None
    availability_zone: Regex | None = None
    launch_index: str | None = None
    config_drive: Regex | None = None
    auto_disk_config: Regex | None = None
    root_device_name: Regex | None = None
    project_id: str | None = None
    user_id: str | None = None
    all_tenants: str | None = None
    tenant_id: str | None = None
    deleted: str | None = None
    soft_deleted: str | None = None
    image: str | None = None
    image_ref: str | None = None
    kernel_id: Regex | None = None
    ramdisk_id: Regex | None = None
    ip: Regex | None = None
    ip6: Regex | None = None
    access_ip_v4: Regex | None = None
    access_ip_v6: Regex | None = None
    key_name: Regex | None = None
    locked_by: Regex | None = None
    reservation_id: Regex | None = None
    sort_key: Annotated[tuple[OldSortKey, ...], Many()] = ()
    sort_dir: Annotated[tuple[str, ...], Many()] = ()
    changes_since: DateTime | None = Field(None, alias="changes-since")


class ServersQuery226(ServersQuery):
    """2.26: by tags."""

    tags: Regex | None = None
    tags_any: Regex | None = Field(None, alias="tags-any")
    not_tags: Regex | None = Field(None, alias="not-tags")
    not_tags_any: Regex | None = Field(None, alias="not-tags-any")


class ServersQuery266(ServersQuery226):
    """2.66: changes before."""

    changes_before: DateTime | None = Field(None, alias="changes-before")

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.changes_since and self.changes_before and self.changes_before < self.changes_since:
            raise ValueError("The value of changes-since must be less than or equal to changes-before.")
        return self


class ServersQuery273(ServersQuery266):
    """2.73: by what is locked."""

    locked: str | None = None


class ServersQuery275(ServersQuery273):
    """2.75: what is not known is refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    sort_key: Annotated[tuple[SortKey, ...], Many()] = ()


#: filters by what no server here has; a server without tags passes those that begin with "not"
NEVER_HERE = (
    "terminated_at", "image", "image_ref", "kernel_id", "ramdisk_id", "ip", "ip6", "access_ip_v4", "access_ip_v6", "key_name",
    "locked_by", "reservation_id", "tags", "tags_any",
)  # fmt: skip
#: tables of Nova's that nobody may ask for
FORBIDDEN = frozenset({"block_device_mapping", "services", "metadata", "system_metadata", "info_cache", "security_groups", "pci_devices"})

SERVERS: dict[str, type[BaseModel]] = {
    "2.1": ServersQuery,
    "2.26": ServersQuery226,
    "2.66": ServersQuery266,
    "2.73": ServersQuery273,
    "2.75": ServersQuery275,
}
