"""The destination must offer the guest's kind of virtual CPU."""

from __future__ import annotations

from lmigrate.scheduler.host_state import HostState
from lmigrate.scheduler.request import RequestSpec


def cpu(host: HostState, spec: RequestSpec) -> str | None:
    """Refuse what surely cannot run; features are compared by the destination's own check."""
    if spec.virt_type not in host.virt_types:
        return f"it offers {_list(host.virt_types)}, the guest is of type {spec.virt_type}"
    if spec.arch and host.arch and spec.arch != host.arch:
        return f"its architecture is {host.arch}, the source's is {spec.arch}"
    if spec.virt_type != "kvm":  # TCG emulates every model
        return None
    if spec.cpu_model and host.usable_models and spec.cpu_model not in host.usable_models:
        return f"its CPU cannot run the guest's CPU model {spec.cpu_model}"
    return None


def _list(virt_types: tuple[str, ...]) -> str:
    return " and ".join(virt_types) or "no type of guest"
