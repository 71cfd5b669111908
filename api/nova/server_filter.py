"""From the query of a list of servers to what is asked of the records."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from flask import request

from api import caller
from api.microversions import at_least
from api.nova import flavors
from api.nova.build_server import ZONE
from api.nova.leniency import TRUE_WORDS, moment
from api.nova.schemas.server_query import FORBIDDEN, NEVER_HERE, ServersQuery
from api.nova.states import KNOWN_STATUSES, with_power_state, with_status
from lmigrate.db.stores import name_pattern
from lmigrate.db.stores.servers_view import ServerFilter
from lmigrate.errors import RequestError
from lmigrate.states import TaskState, VmState


class InvalidStatus(RequestError):
    """Invalid status value"""


class InvalidFilter(RequestError):
    """Invalid filter field: {field}."""


class FilterNotOffered(RequestError):
    """Servers cannot be filtered by {field} here: leave it out, and filter what arrives."""


#: the same of every server, in Nova's words
_OF_ALL = {"availability_zone": ZONE, "launch_index": "0", "config_drive": "", "auto_disk_config": "False"}
#: which are one here; who gives several means all of them
_NAMES = ("name", "display_name", "hostname", "instance_name")


def server_filter(query: ServersQuery) -> ServerFilter | None:
    """What to look for; None: no server can be meant.

    Raises:
        InvalidStatus, InvalidFilter, FilterNotOffered, InvalidInput: the query is wrong.
    """
    _require_filters()
    _require_statuses(query.status)
    if query.root_device_name is not None:
        raise FilterNotOffered(field="root_device_name")
    if _means_nothing(query):
        return None
    wanted = ServerFilter(
        names=tuple((field, text) for field in _NAMES if (text := getattr(query, field))),
        anomaly_parts=tuple(text for text in (query.description, query.display_description) if text),
        host=query.host or None,
        node=query.node,
        uuids=(query.uuid.lower(),) if query.uuid else None,
        shown_as=tuple(map(with_status, query.status)) if query.status else None,
        size=flavors.size_of(query.flavor) if query.flavor else None,
        power_states=with_power_state(query.power_state) if query.power_state else None,
        changed_since=query.changes_since,
        changed_before=getattr(query, "changes_before", None),
    )
    return _with_numbers(_with_states(wanted, query), query)


def _require_filters() -> None:
    for field in request.args:
        if field in FORBIDDEN or field.startswith("_"):
            raise InvalidFilter(field=field)


def _require_statuses(asked: tuple[str, ...]) -> None:
    """One that is known is enough, as in Nova."""
    if asked and at_least("2.38") and not any(status.upper() in KNOWN_STATUSES for status in asked):
        raise InvalidStatus


def _with_states(wanted: ServerFilter, query: ServersQuery) -> ServerFilter:
    """Narrowed by Nova's own words for states, which ``status`` has in other words."""
    if query.vm_state:
        wanted = replace(wanted, vm_states=tuple(state for state in VmState if state == query.vm_state.lower()))
    if query.task_state:
        asks_for_ours = query.task_state.lower() == TaskState.MIGRATING
        wanted = replace(wanted, is_migrating=True) if asks_for_ours else replace(wanted, uuids=())
    return wanted


def _with_numbers(wanted: ServerFilter, query: ServersQuery) -> ServerFilter:
    if query.progress is not None:
        wanted = replace(wanted, progress=int(query.progress) if re.fullmatch("[0-9]{1,3}", query.progress) else -1)
    if query.created_at is not None:
        wanted = replace(wanted, created_in=_second(query.created_at))
    if query.launched_at is not None:
        wanted = replace(wanted, launched_in=_second(query.launched_at))
    return wanted


def _second(text: str) -> tuple[datetime, datetime]:
    """The second that a moment of the wire names, from and before; one without anything in it when it names none."""
    try:
        begin = moment(text).replace(microsecond=0)
        return begin, begin + timedelta(seconds=1)
    except (ValueError, OverflowError):  # OverflowError: the last one there is, which does not end
        never = datetime(1, 1, 1, tzinfo=UTC)
        return never, never


def _means_nothing(query: ServersQuery) -> bool:
    """Whether it asks for what no server here has or is: deleted, locked, an address, a tag, another project."""
    us = caller.ADMINISTRATOR
    others = (query.project_id not in {None, us.project_id}, query.user_id not in {None, us.user_id})
    asks_for_more = any(getattr(query, name, None) for name in NEVER_HERE)
    asked = ((name, getattr(query, name)) for name in _OF_ALL)
    is_unlike = any(text is not None and not name_pattern.fits(name, text, _OF_ALL[name]) for name, text in asked)
    never_true = (query.deleted, query.soft_deleted, getattr(query, "locked", None))
    return asks_for_more or is_unlike or any(others) or any(word in TRUE_WORDS for word in never_true)
