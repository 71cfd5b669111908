"""Keyset paging: a page starts after the row that the marker names, so it costs the same at any depth."""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement, Select, literal, tuple_


def newest_first(query: Select[Any], moment: Any, tie: Any, after: tuple[Any, Any] | None, limit: int) -> Select[Any]:
    """``query`` from the newest row on, at most ``limit`` rows, after the row at (moment, tie)."""
    if after is not None:
        query = query.where(_before(moment, tie, after))
    return query.order_by(moment.desc(), tie.desc()).limit(limit)


def _before(moment: Any, tie: Any, after: tuple[Any, Any]) -> ColumnElement[bool]:
    # typed by their columns: a bare value would be bound as another type than what is stored
    return tuple_(moment, tie) < tuple_(literal(after[0], moment.type), literal(after[1], tie.type))
