"""GET /os-hypervisors: the hosts, as Nova shows them."""

from __future__ import annotations

from typing import Any

from api.errors import NotFound
from api.microversions import at_least
from api.nova import build_hypervisor, host_lookup
from api.nova.blueprint import route
from api.nova.build_hypervisor import Servers
from api.nova.schemas import queries
from api.nova.schemas.hypervisor import (
    HypervisorAnswer,
    HypervisorsAnswer,
    HypervisorsDetailAnswer,
    HypervisorsServersAnswer,
    HypervisorUptimeAnswer,
    StatisticsAnswer,
)
from api.nova.versioned import until
from api.pagination import Link, next_links, page_size
from lmigrate.db.models import Host
from lmigrate.db.session import Session, reading
from lmigrate.db.stores import hosts_view, servers_view
from lmigrate.errors import RequestError


class PagedPattern(RequestError):
    """Paging over hypervisors with the hypervisor_hostname_pattern query parameter is not supported."""


@route("GET", "/os-hypervisors", query=queries.HYPERVISORS, answer=HypervisorsAnswer)
def index(query: Any) -> HypervisorsAnswer:
    """List hypervisors in short."""
    with reading() as session:
        hosts, servers = _page(session, query)
    found = [build_hypervisor.hypervisor(host, servers) for host in hosts]
    return HypervisorsAnswer(hypervisors=found, hypervisors_links=_links(query, hosts))


@route("GET", "/os-hypervisors/detail", query=queries.HYPERVISORS, answer=HypervisorsDetailAnswer)
def detail(query: Any) -> HypervisorsDetailAnswer:
    """List hypervisors."""
    with reading() as session:
        hosts, servers = _page(session, query, with_cpu=build_hypervisor.shows_cpu())
        records = hosts_view.with_use(session, hosts)
    found = [build_hypervisor.hypervisor_detail(record, servers) for record in records]
    return HypervisorsDetailAnswer(hypervisors=found, hypervisors_links=_links(query, hosts))


@route("GET", "/os-hypervisors/statistics", span=until("2.87"), answer=StatisticsAnswer)
def statistics() -> StatisticsAnswer:
    """Add up all hypervisors."""
    with reading() as session:
        found = build_hypervisor.statistics(hosts_view.with_use(session, hosts_view.all_brief(session)))
    return StatisticsAnswer(hypervisor_statistics=found)


@route("GET", "/os-hypervisors/<hypervisor_id>", query=queries.HYPERVISOR, answer=HypervisorAnswer)
def show(hypervisor_id: str, query: Any) -> HypervisorAnswer:
    """Show one hypervisor: by number up to 2.52, by UUID from 2.53."""
    with reading() as session:
        host = host_lookup.hypervisor(session, hypervisor_id)
        record = hosts_view.with_use(session, [host])[0]
        servers = servers_view.names_by_host(session, [host.name]) if _wants_servers(query) else None
    return HypervisorAnswer(hypervisor=build_hypervisor.hypervisor_detail(record, servers))


@route("GET", "/os-hypervisors/<hypervisor_id>/uptime", span=until("2.87"), answer=HypervisorUptimeAnswer)
def uptime(hypervisor_id: str) -> HypervisorUptimeAnswer:
    """Show since when a hypervisor's host runs: as of its last heartbeat, in the words of ``uptime``."""
    with reading() as session:
        host = host_lookup.hypervisor(session, hypervisor_id)
    return HypervisorUptimeAnswer(hypervisor=build_hypervisor.uptime(host))


@route("GET", "/os-hypervisors/<pattern>/search", span=until("2.52"), answer=HypervisorsAnswer)
def search(pattern: str) -> HypervisorsAnswer:
    """List the hypervisors with ``pattern`` in their name."""
    return HypervisorsAnswer(hypervisors=[build_hypervisor.hypervisor(host) for host in _matching(pattern)])


@route("GET", "/os-hypervisors/<pattern>/servers", span=until("2.52"), answer=HypervisorsServersAnswer)
def servers(pattern: str) -> HypervisorsServersAnswer:
    """List the hypervisors with ``pattern`` in their name, with the servers on each."""
    found = _matching(pattern)
    with reading() as session:
        names = servers_view.names_by_host(session, [host.name for host in found])
    return HypervisorsServersAnswer(hypervisors=[build_hypervisor.hypervisor_with_servers(host, names) for host in found])


def _matching(pattern: str) -> list[Host]:
    with reading() as session:
        found = hosts_view.named_like(session, pattern)
    if not found:
        raise NotFound(f"No hypervisor matching '{pattern}' could be found.")
    return found


def _page(session: Session, query: Any, *, with_cpu: bool = False) -> tuple[list[Host], Servers | None]:
    pattern, marker = getattr(query, "hypervisor_hostname_pattern", None), getattr(query, "marker", None)
    limit = getattr(query, "limit", None)
    if pattern is not None and (limit is not None or marker is not None):
        raise PagedPattern
    after = None if marker is None else host_lookup.marker(session, marker)
    hosts = hosts_view.page(session, page_size(limit), after, name_part=pattern, with_cpu=with_cpu)
    if pattern is not None and not hosts:
        raise NotFound(f"No hypervisor matching '{pattern}' could be found.")
    names = [host.name for host in hosts]
    return hosts, servers_view.names_by_host(session, names) if _wants_servers(query) else None


def _wants_servers(query: Any) -> bool:
    return bool(getattr(query, "with_servers", False))


def _links(query: Any, hosts: list[Host]) -> list[Link] | None:
    if not at_least("2.33") or getattr(query, "hypervisor_hostname_pattern", None) is not None or not hosts:
        return None
    last = hosts[-1]
    return next_links(len(hosts), page_size(query.limit), last.uuid if at_least("2.53") else last.id)
