"""From the query of a list of servers to the order of the records."""

from __future__ import annotations

from api.microversions import at_least
from api.nova.schemas.server_query import IGNORED_SORT_KEYS, LOCKED, ServersQuery
from lmigrate.db.stores.servers_view import SORTABLE, Order
from lmigrate.errors import RequestError

#: Nova's name → the records'
_OURS = {"display_name": "name", "hostname": "name", "node": "host", "display_description": "anomaly"}


class UnknownDirection(RequestError):
    """Invalid input received: Unknown sort direction, must be 'desc' or 'asc'"""


class TooManyDirections(RequestError):
    """Invalid input received: Sort direction size exceeds sort key size"""


def server_order(query: ServersQuery) -> Order:
    """Field and whether it descends, the first to sort by first: newest first, unless the query says otherwise.

    As in Nova a key without a direction takes the first direction, and servers that are alike follow by their age in
    that direction.  What all servers here have alike sorts nothing.

    Raises:
        UnknownDirection, TooManyDirections: the query is wrong.
    """
    keys, directions = _without_ignored(query)
    keys, directions = keys or ["created_at"], directions or ["desc"]
    if not {"asc", "desc"}.issuperset(directions):
        raise UnknownDirection
    if len(directions) > len(keys):
        raise TooManyDirections
    rest = directions[:1] * (len(keys) - len(directions))
    wanted: dict[str, bool] = {}
    for key, direction in [*zip(keys, directions + rest, strict=True), ("created_at", directions[0])]:
        wanted.setdefault(_OURS.get(key, key), direction == "desc")
    return tuple((name, is_descending) for name, is_descending in wanted.items() if name in SORTABLE)


def _without_ignored(query: ServersQuery) -> tuple[list[str], list[str]]:
    """Keys and directions; a key that Nova once knew goes with its direction."""
    keys, directions = [key.strip() for key in query.sort_key], [word.strip() for word in query.sort_dir]
    ignored = {*IGNORED_SORT_KEYS, *(() if at_least("2.73") else (LOCKED,))}
    for position in reversed(range(len(keys))):
        if keys[position] in ignored:
            del keys[position]
            del directions[position : position + 1]
    return keys, directions
