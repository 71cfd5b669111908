"""GET /servers: list, detail, show."""

from __future__ import annotations

from api.nova import build_server
from api.nova.blueprint import route
from api.nova.schemas import queries
from api.nova.schemas.server import ServerAnswer, ServersAnswer, ServersDetailAnswer
from api.nova.server_filter import server_filter
from api.pagination import Link, MarkerNotFound, next_links, page_size
from lmigrate.db.session import reading
from lmigrate.db.stores import servers_view
from lmigrate.db.stores.servers_view import ServerRecord
from lmigrate.errors import InstanceNotFound


@route("GET", "/servers", query=queries.SERVERS, answer=ServersAnswer)
def index(query: queries.ServersQuery) -> ServersAnswer:
    """List servers in short."""
    records = _page(query)
    found = [build_server.server_link(record) for record in records]
    return ServersAnswer(servers=found, servers_links=_links(records, query))


@route("GET", "/servers/detail", query=queries.SERVERS, answer=ServersDetailAnswer)
def detail(query: queries.ServersQuery) -> ServersDetailAnswer:
    """List servers."""
    records = _page(query)
    found = [build_server.server(record) for record in records]
    return ServersDetailAnswer(servers=found, servers_links=_links(records, query))


@route("GET", "/servers/<server_id>", answer=ServerAnswer)
def show(server_id: str) -> ServerAnswer:
    """Show one server."""
    with reading() as session:
        record = servers_view.one(session, server_id)
    return ServerAnswer(server=build_server.server(record).model_copy(update={"server_groups": []}))


def _page(query: queries.ServersQuery) -> list[ServerRecord]:
    wanted = server_filter(query)
    if wanted is None:
        return []
    with reading() as session:
        try:
            return servers_view.page(session, wanted, page_size(query.limit), query.marker)
        except InstanceNotFound as error:
            raise MarkerNotFound(marker=f"[{query.marker}]") from error


def _links(records: list[ServerRecord], query: queries.ServersQuery) -> list[Link] | None:
    return next_links(len(records), page_size(query.limit), records[-1].instance.uuid if records else "")
