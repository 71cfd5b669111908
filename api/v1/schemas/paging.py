"""Pages of ``/v1``, and what their queries are made of."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AwareDatetime, BeforeValidator, Field

from api.contract import Shape

#: rows in one answer at most
MAX_LIMIT = 1000

Moment = AwareDatetime


def _rfc3339(value: object) -> object:
    """Numbers and free forms, of which pydantic makes moments too, are refused: the contract says date-time."""
    if isinstance(value, str) and not _RFC3339.match(value):
        raise ValueError("a moment such as 2026-11-25T12:00:00Z is needed")
    if isinstance(value, int | float):
        raise ValueError("a moment such as 2026-11-25T12:00:00Z is needed, not a number")  # noqa: TRY004 - pydantic's way of refusing
    return value


_RFC3339 = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d{1,9})?([Zz]|[+-]\d\d:\d\d)\Z", re.ASCII)
#: as clients write it
SentMoment = Annotated[AwareDatetime, BeforeValidator(_rfc3339)]
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
