"""GET /servers: list, detail, show."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from api.nova import build_server
from api.nova.blueprint import route
from api.nova.schemas.server import ServerAnswer, ServersAnswer, ServersDetailAnswer
from api.nova.schemas.server_query import SERVERS, ServersQuery
from api.nova.server_filter import server_filter
from api.nova.server_order import server_order
from api.pagination import Link, MarkerNotFound, next_links, page_size
from lmigrate.db.session import Session, reading
from lmigrate.db.stores import servers_view
from lmigrate.db.stores.servers_view import Order, ServerFilter
from lmigrate.errors import InstanceNotFound

Row = TypeVar("Row")


@route("GET", "/servers", query=SERVERS, answer=ServersAnswer)
def index(query: ServersQuery) -> ServersAnswer:
    """List servers in short."""
    rows = _page(query, servers_view.names)
    return ServersAnswer(servers=[build_server.server_link(*row) for row in rows], servers_links=_links([uuid for uuid, _ in rows], query))


@route("GET", "/servers/detail", query=SERVERS, answer=ServersDetailAnswer)
def detail(query: ServersQuery) -> ServersDetailAnswer:
    """List servers."""
    records = _page(query, servers_view.page)
    links = _links([record.instance.uuid for record in records], query)
    return ServersDetailAnswer(servers=[build_server.server(record) for record in records], servers_links=links)


@route("GET", "/servers/<server_id>", answer=ServerAnswer)
def show(server_id: str) -> ServerAnswer:
    """Show one server."""
    with reading() as session:
        record = servers_view.one(session, server_id)
    return ServerAnswer(server=build_server.server(record).model_copy(update={"server_groups": []}))


def _page(query: ServersQuery, read: Callable[[Session, ServerFilter, int, str | None, Order], list[Row]]) -> list[Row]:
    wanted, order = server_filter(query), server_order(query)
    if wanted is None:
        return []
    with reading() as session:
        try:
            return read(session, wanted, page_size(query.limit), query.marker, order)
        except InstanceNotFound as error:
            raise MarkerNotFound(marker=f"[{query.marker}]") from error


def _links(uuids: list[str], query: ServersQuery) -> list[Link] | None:
    return next_links(len(uuids), page_size(query.limit), uuids[-1] if uuids else "")
