"""/os-hosts: hosts as clients asked for them up to 2.42.

What would change one is refused as Nova with libvirt refuses it: no driver of libvirt's has these switches.
"""

from __future__ import annotations

from typing import Any, Never

from flask import Response

from api import caller
from api.errors import NotFound, NotSupported
from api.microversions import Microversion, current
from api.nova.blueprint import nova, route
from api.nova.build_server import ZONE
from api.nova.schemas import queries
from api.nova.schemas.zone import HOST_CHANGE, HostAnswer, HostResource, HostsAnswer, Resource, ZoneHost
from api.nova.versioned import until
from lmigrate.db.session import reading
from lmigrate.db.stores import hosts, hosts_view
from lmigrate.db.stores.hosts_view import HostRecord

_GIB = 2**30


_LAST = Microversion(2, 42)


class ComputeHostNotFound(NotFound):
    """Compute host {host} could not be found."""


class HostNotFound(NotFound):
    """Host {host} could not be found."""


@route("GET", "/os-hosts", span=until("2.42"), query=queries.HOSTS, answer=HostsAnswer)
def index(query: queries.HostsQuery) -> HostsAnswer:
    """List the hosts that are enabled."""
    if query.zone not in {None, "", ZONE}:
        return HostsAnswer(hosts=[])
    with reading() as session:
        found = [host.name for host in hosts_view.all_brief(session) if host.enabled]
    return HostsAnswer(hosts=[ZoneHost(host_name=name, service="compute", zone=ZONE) for name in found])


@route("GET", "/os-hosts/<host_name>", span=until("2.42"), answer=HostAnswer)
def show(host_name: str) -> HostAnswer:
    """Show what there is of a host and what its guests take."""
    with reading() as session:
        host = hosts.by_name(session, host_name)
        if host is None:
            raise ComputeHostNotFound(host=host_name)
        record = hosts_view.with_use(session, [host])[0]
    return HostAnswer(host=[HostResource(resource=one) for one in _resources(record)])


@route("PUT", "/os-hosts/<host_name>", span=until("2.42"), body=HOST_CHANGE, status=501)
def update(host_name: str, body: Any) -> None:
    """Refuse to switch a host, as Nova with libvirt does: PUT /os-services switches it."""
    del body
    _refuse(host_name, "Switch the host with PUT /os-services: `openstack compute service set --disable`.")


@nova.get("/os-hosts/<host_name>/<any(startup, shutdown, reboot):action>", strict_slashes=False)
def power(host_name: str, action: str) -> Response:
    """Refuse to start, stop or reboot a host, as Nova with libvirt does."""
    if current() > _LAST:
        raise NotFound
    _refuse(host_name, f"lmigrate does not {action} hosts.")


def _refuse(host_name: str, remedy: str) -> Never:
    with reading() as session:
        if hosts.by_name(session, host_name) is None:
            raise HostNotFound(host=host_name)
    raise NotSupported(remedy=remedy)


def _resources(record: HostRecord) -> list[Resource]:
    host, use = record.host, record.use
    total_gib, used_gib = host.disk_total_bytes // _GIB, (host.disk_total_bytes - host.disk_free_bytes) // _GIB
    used_mib = use.memory_mib + host.reserved_memory_mib
    guests = {"cpu": use.vcpus, "memory_mb": use.memory_mib, "disk_gb": used_gib}
    return [
        Resource(host=host.name, project="(total)", cpu=host.vcpus, memory_mb=host.memory_mib, disk_gb=total_gib),
        Resource(host=host.name, project="(used_now)", cpu=use.vcpus, memory_mb=used_mib, disk_gb=used_gib),
        Resource(host=host.name, project="(used_max)", **guests),
        Resource(host=host.name, project=caller.ADMINISTRATOR.project_id, **guests),
    ]
