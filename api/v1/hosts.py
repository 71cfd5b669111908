"""/v1/hosts: what is known of each host, and its switch."""

from __future__ import annotations

from api.contract import contract
from api.errors import MarkerNotFound, NotFound
from api.v1 import build_host
from api.v1.blueprint import v1
from api.v1.schemas.hosts import HostChange, HostDetail, Hosts, HostsQuery
from lmigrate.db.models import Host
from lmigrate.db.session import reading, writing
from lmigrate.db.stores import hosts, hosts_view
from lmigrate.errors import InvalidInput


class HostNotFound(NotFound):
    """Host {host} could not be found. `lmigrate host list` shows the hosts that have registered."""


@v1.get("/hosts")
@contract(query=HostsQuery, answer=Hosts, errors=(404,))
def list_hosts(query: HostsQuery) -> Hosts:
    """List hosts."""
    with reading() as session:
        after = None if query.marker is None else hosts.by_name(session, query.marker)
        if query.marker is not None and after is None:
            raise MarkerNotFound(marker=query.marker)
        records = hosts_view.with_use(session, hosts_view.page(session, query.limit, after, name_part=query.name))
    full = len(records) == query.limit
    return Hosts(hosts=[build_host.host(record) for record in records], next_marker=records[-1].host.name if full else None)


@v1.get("/hosts/<name>")
@contract(answer=HostDetail, errors=(404,))
def show_host(name: str) -> HostDetail:
    """Show one host."""
    return _shown(name)


@v1.patch("/hosts/<name>")
@contract(body=HostChange, answer=HostDetail, errors=(404,))
def change_host(name: str, json: HostChange) -> HostDetail:
    """Enable or disable a host as a destination."""
    if json.enabled and json.reason is not None:
        raise InvalidInput(field="reason", value=json.reason, remedy="A reason goes with enabled: false only.")
    with writing() as session:
        hosts_view.switch(session, _require(hosts.by_name(session, name), name), enabled=json.enabled, reason=json.reason)
    return _shown(name)


def _shown(name: str) -> HostDetail:
    with reading() as session:
        record = hosts_view.with_use(session, [_require(hosts.by_name(session, name), name)])[0]
    return build_host.host_detail(record)


def _require(found: Host | None, name: str) -> Host:
    if found is None:
        raise HostNotFound(host=name)
    return found
