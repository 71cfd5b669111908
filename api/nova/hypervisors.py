"""GET /os-hypervisors: the hosts, as Nova shows them."""

from __future__ import annotations

from typing import Any

from api.errors import NotFound
from api.microversions import at_least
from api.nova import build_hypervisor, host_lookup
from api.nova.blueprint import route
from api.nova.build_hypervisor import Servers
from api.nova.schemas import queries
from api.nova.schemas.hypervisor import HypervisorAnswer, HypervisorsAnswer, HypervisorsDetailAnswer
from api.pagination import Link, next_links, page_size
from lmigrate.db.session import reading
from lmigrate.db.stores import hosts_view, servers_view
from lmigrate.db.stores.hosts_view import HostRecord
from lmigrate.errors import RequestError


class PagedPattern(RequestError):
    """Paging over hypervisors with the hypervisor_hostname_pattern query parameter is not supported."""


@route("GET", "/os-hypervisors", query=queries.HYPERVISORS, answer=HypervisorsAnswer)
def index(query: Any) -> HypervisorsAnswer:
    """List hypervisors in short."""
    records, servers = _page(query)
    found = [build_hypervisor.hypervisor(record.host, servers) for record in records]
    return HypervisorsAnswer(hypervisors=found, hypervisors_links=_links(query, records))


@route("GET", "/os-hypervisors/detail", query=queries.HYPERVISORS, answer=HypervisorsDetailAnswer)
def detail(query: Any) -> HypervisorsDetailAnswer:
    """List hypervisors."""
    records, servers = _page(query)
    found = [build_hypervisor.hypervisor_detail(record, servers) for record in records]
    return HypervisorsDetailAnswer(hypervisors=found, hypervisors_links=_links(query, records))


@route("GET", "/os-hypervisors/<hypervisor_id>", query=queries.HYPERVISOR, answer=HypervisorAnswer)
def show(hypervisor_id: str, query: Any) -> HypervisorAnswer:
    """Show one hypervisor: by number up to 2.52, by UUID from 2.53."""
    with reading() as session:
        host = host_lookup.hypervisor(session, hypervisor_id)
        record = hosts_view.with_use(session, [host])[0]
        servers = servers_view.names_by_host(session, [host.name]) if _wants_servers(query) else None
    return HypervisorAnswer(hypervisor=build_hypervisor.hypervisor_detail(record, servers))


def _page(query: Any) -> tuple[list[HostRecord], Servers | None]:
    pattern, marker = getattr(query, "hypervisor_hostname_pattern", None), getattr(query, "marker", None)
    limit = getattr(query, "limit", None)
    if pattern is not None and (limit is not None or marker is not None):
        raise PagedPattern
    with reading() as session:
        after = None if marker is None else host_lookup.marker(session, marker)
        records = hosts_view.page(session, page_size(limit), after, name_part=pattern)
        names = [record.host.name for record in records]
        servers = servers_view.names_by_host(session, names) if _wants_servers(query) else None
    if pattern is not None and not records:
        raise NotFound(f"No hypervisor matching '{pattern}' could be found.")
    return records, servers


def _wants_servers(query: Any) -> bool:
    return bool(getattr(query, "with_servers", False))


def _links(query: Any, records: list[HostRecord]) -> list[Link] | None:
    if not at_least("2.33") or getattr(query, "hypervisor_hostname_pattern", None) is not None or not records:
        return None
    last = records[-1].host
    return next_links(len(records), page_size(query.limit), last.uuid if at_least("2.53") else last.id)
