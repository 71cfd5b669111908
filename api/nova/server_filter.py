"""From the query of a list of servers to what is asked of the records."""

from __future__ import annotations

from dataclasses import replace

from api import caller
from api.microversions import at_least
from api.nova import flavors
from api.nova.leniency import TRUE_WORDS
from api.nova.schemas.queries import NEVER_HERE, ServersQuery
from api.nova.states import KNOWN_STATUSES, with_power_state, with_status
from lmigrate.db.stores.servers_view import ServerFilter
from lmigrate.errors import RequestError
from lmigrate.states import TaskState, VmState


class InvalidStatus(RequestError):
    """Invalid status value"""


class NotSortable(RequestError):
    """Servers are listed newest first: {field} {value!r} is not offered. Leave out sort_key and sort_dir, and sort what arrives."""


def server_filter(query: ServersQuery) -> ServerFilter | None:
    """What to look for; None: no server can be meant.

    Raises:
        InvalidStatus, NotSortable: the query is wrong.
    """
    _require_the_one_order(query)
    if query.status and query.status.upper() not in KNOWN_STATUSES and at_least("2.38"):
        raise InvalidStatus
    if _means_nothing(query):
        return None
    wanted = replace(
        with_status(query.status) if query.status else ServerFilter(),
        name=query.name or query.hostname or query.instance_name,
        host=query.host or query.node,
        uuids=(query.uuid.lower(),) if query.uuid else None,
        size=flavors.size_of(query.flavor) if query.flavor else None,
        power_states=None if query.power_state is None else with_power_state(query.power_state),
        changed_since=query.changes_since,
        changed_before=query.changes_before,
    )
    return _with_states(wanted, query)


def _with_states(wanted: ServerFilter, query: ServersQuery) -> ServerFilter:
    """Narrowed by Nova's own words for states, which ``status`` has in other words."""
    if query.vm_state:
        asked = {state for state in VmState if state == query.vm_state.lower()}
        wanted = replace(wanted, vm_states=tuple(asked if wanted.vm_states is None else asked & set(wanted.vm_states)))
    if query.task_state:
        asks_for_ours = query.task_state.lower() == TaskState.MIGRATING
        wanted = replace(wanted, is_migrating=True) if asks_for_ours and wanted.is_migrating is not False else replace(wanted, uuids=())
    return wanted


def _means_nothing(query: ServersQuery) -> bool:
    """Whether it asks for what no server here has or is: deleted, locked, an address, a tag, another project."""
    us = caller.ADMINISTRATOR
    others = (query.project_id not in {None, us.project_id}, query.user_id not in {None, us.user_id})
    asks_for_more = any(getattr(query, name) for name in NEVER_HERE)
    return asks_for_more or any(others) or query.deleted in TRUE_WORDS or query.locked in TRUE_WORDS


def _require_the_one_order(query: ServersQuery) -> None:
    if query.sort_key not in {None, "created_at"}:
        raise NotSortable(field="sort_key", value=query.sort_key)
    if query.sort_dir not in {None, "desc"}:
        raise NotSortable(field="sort_dir", value=query.sort_dir)
