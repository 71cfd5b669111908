"""/v1/servers: guests with their disks, where they were seen, and what is wrong with them."""

from __future__ import annotations

from api.contract import contract
from api.errors import MarkerNotFound
from api.v1 import build_plan, build_server
from api.v1.blueprint import v1
from api.v1.schemas.plans import Plan, PlanQuery
from api.v1.schemas.servers import Forgotten, ServerDetail, Servers, ServersQuery
from lmigrate.db.session import reading
from lmigrate.db.stores import servers_view, volumes_view
from lmigrate.db.stores.servers_view import ServerFilter, ServerRecord
from lmigrate.doctor.forget import forget
from lmigrate.errors import InstanceNotFound
from lmigrate.migration.plan import plan_migration


@v1.get("/servers")
@contract(query=ServersQuery, answer=Servers, errors=(404,))
def list_servers(query: ServersQuery) -> Servers:
    """List guests."""
    records = _page(query)
    found = [build_server.server(record) for record in records]
    return Servers(servers=found, next_marker=found[-1].uuid if len(found) == query.limit else None)


@v1.get("/servers/<uuid>")
@contract(answer=ServerDetail, errors=(404,))
def show_server(uuid: str) -> ServerDetail:
    """Show one guest."""
    with reading() as session:
        record = servers_view.one(session, uuid)
        volumes = volumes_view.of_server(session, record.instance.uuid)
        return build_server.server_detail(record, servers_view.sightings(session, record.instance.uuid), volumes)


@v1.delete("/servers/<uuid>")
@contract(answer=Forgotten, errors=(404, 409))
def forget_server(uuid: str) -> Forgotten:
    """Remove the record of a guest whose domain has vanished, with its history."""
    forget(uuid.lower())
    return Forgotten(uuid=uuid.lower())


@v1.get("/servers/<uuid>/plan")
@contract(query=PlanQuery, answer=Plan, errors=(404,))
def show_plan(uuid: str, query: PlanQuery) -> Plan:
    """Say what a live migration would do; nothing is reserved."""
    return build_plan.plan(plan_migration(uuid, query.host))


def _page(query: ServersQuery) -> list[ServerRecord]:
    wanted = ServerFilter(name_part=query.name, host=query.host, has_anomaly=query.anomaly)
    with reading() as session:
        try:
            return servers_view.page(session, wanted, query.limit, query.marker)
        except InstanceNotFound as error:
            raise MarkerNotFound(marker=query.marker) from error
