"""GET /os-services: the host daemons, as Nova's compute services."""

from __future__ import annotations

from api.nova import build_hypervisor
from api.nova.blueprint import route
from api.nova.schemas import queries
from api.nova.schemas.hypervisor import ServicesAnswer
from lmigrate.db.models import Host
from lmigrate.db.session import reading
from lmigrate.db.stores import hosts

BINARY = "nova-compute"


@route("GET", "/os-services", query=queries.SERVICES, answer=ServicesAnswer)
def index(query: queries.ServicesQuery) -> ServicesAnswer:
    """List the compute service of every host."""
    return ServicesAnswer(services=[build_hypervisor.service(host) for host in _wanted(query)])


def _wanted(query: queries.ServicesQuery) -> list[Host]:
    if query.binary not in {None, "", BINARY}:
        return []
    with reading() as session:
        return [host for host in hosts.all_hosts(session) if query.host in {None, "", host.name}]
