"""GET /servers/{id}/os-instance-actions: what was done to a server, and why it failed."""

from __future__ import annotations

from typing import Any

from api.errors import NotFound
from api.nova.blueprint import route
from api.nova.build_server import host_id
from api.nova.schemas import queries
from api.nova.schemas.action import Action, ActionAnswer, ActionEvent, ActionsAnswer, ActionWithEvents
from api.nova.times import microseconds
from api.pagination import MarkerNotFound, next_links, page_size
from lmigrate.db.models import InstanceAction, InstanceActionEvent
from lmigrate.db.session import reading
from lmigrate.db.stores import actions_view, servers_view
from lmigrate.db.stores.actions_view import ActionFilter


@route("GET", "/servers/<server_id>/os-instance-actions", query=queries.ACTIONS, answer=ActionsAnswer)
def index(server_id: str, query: Any) -> ActionsAnswer:
    """List the actions of a server, newest first."""
    size = page_size(getattr(query, "limit", None))
    rows = _page(server_id.lower(), query, size)
    links = next_links(len(rows), size, rows[-1].request_id if rows else "")
    return ActionsAnswer(actions=[Action(**_action(row)) for row in rows], links=links)


@route("GET", "/servers/<server_id>/os-instance-actions/<request_id>", answer=ActionAnswer)
def show(server_id: str, request_id: str) -> ActionAnswer:
    """Show one action with its events."""
    with reading() as session:
        servers_view.require(session, server_id)
        row = actions_view.find(session, server_id.lower(), request_id)
        events = actions_view.events(session, row) if row else []
    if row is None:
        raise NotFound(f"Action {request_id} not found")
    return ActionAnswer(action=ActionWithEvents(**_action(row), events=[_event(event) for event in events]))


def _page(server_id: str, query: Any, size: int) -> list[InstanceAction]:
    marker = getattr(query, "marker", None)
    wanted = ActionFilter(getattr(query, "changes_since", None), getattr(query, "changes_before", None))
    with reading() as session:
        servers_view.require(session, server_id)
        after = None if marker is None else actions_view.find(session, server_id, marker)
        if marker is not None and after is None:
            raise MarkerNotFound(marker=f"[{marker}]")
        return actions_view.page(session, server_id, wanted, size, after)


def _action(row: InstanceAction) -> dict[str, Any]:
    return {
        "action": row.action,
        "instance_uuid": row.instance_uuid,
        "request_id": row.request_id,
        "user_id": row.user_id,
        "project_id": row.project_id,
        "start_time": microseconds(row.started_at),
        "message": row.message,
        "updated_at": microseconds(row.updated_at),
    }


def _event(row: InstanceActionEvent) -> ActionEvent:
    return ActionEvent(
        event=row.event,
        start_time=microseconds(row.started_at),
        finish_time=microseconds(row.finished_at) if row.finished_at else None,
        result=row.result,
        traceback=row.details if row.result == "Error" else None,
        host=row.host,
        host_id=host_id(row.host),
        details=row.details,
    )
