"""Pages of ``/v1``, and what their queries are made of."""

from __future__ import annotations

from typing import Annotated

from pydantic import AwareDatetime, Field

from api.contract import Shape

#: rows in one answer at most
MAX_LIMIT = 1000

Moment = AwareDatetime
Limit = Annotated[int, Field(ge=1, le=MAX_LIMIT, description="Rows in this page at most.")]
#: what a name is made of; PostgreSQL cannot even be asked for NUL
NAME = r"^[^\x00]+$"
Marker = Annotated[str, Field(pattern=NAME, max_length=255, description="The `next_marker` of the page before.")]


class PageQuery(Shape):
    """Which page."""

    limit: Limit = 100
    marker: Marker | None = None


class Page(Shape):
    """How to go on."""

    next_marker: str | None = Field(None, description="Marker of the next page; null when this was the last.")
