"""Nova's paging: ``limit`` and ``marker`` in, an absolute ``next`` link out."""

from __future__ import annotations

from urllib.parse import urlencode

from flask import request
from pydantic import BaseModel

from lmigrate.errors import RequestError

#: rows in one answer at most (Nova: api.max_limit)
MAX_LIMIT = 1000


class MarkerNotFound(RequestError):
    """Marker {marker} could not be found."""


class Link(BaseModel):
    """Where something else is found."""

    rel: str
    href: str


def page_size(limit: int | None) -> int:
    """How many rows to read for an asked-for ``limit``."""
    return MAX_LIMIT if limit is None else min(limit, MAX_LIMIT)


def next_links(count: int, size: int, marker: object) -> list[Link] | None:
    """The link to the page after ``marker`` when this one was full, else None."""
    if size == 0 or count < size:
        return None
    kept = [(key, value) for key, value in request.args.items(multi=True) if key not in {"limit", "marker"}]
    query = urlencode([*kept, ("limit", str(size)), ("marker", str(marker))])
    return [Link(rel="next", href=f"{request.base_url}?{query}")]


def url(path: str) -> str:
    """An absolute URL of this server for ``path`` (without leading slash), as the client reached it."""
    return f"{request.url_root}{path}"
