"""The destination must offer the guest's kind of virtual CPU."""

from __future__ import annotations

from lmigrate.scheduler.host_state import HostState
from lmigrate.scheduler.request import RequestSpec


def cpu(host: HostState, spec: RequestSpec) -> str | None:
    """Refuse what surely cannot run.

    The model is not looked at: a guest may run a model that a host does not list as usable,
    with the missing feature switched off.  Only libvirt's comparison on the destination is exact.
    """
    if spec.virt_type not in host.virt_types:
        return f"it offers {_list(host.virt_types)}, the guest is of type {spec.virt_type}"
    if spec.arch and host.arch and spec.arch != host.arch:
        return f"its architecture is {host.arch}, the source's is {spec.arch}"
    return None


def _list(virt_types: tuple[str, ...]) -> str:
    return " and ".join(virt_types) or "no type of guest"
