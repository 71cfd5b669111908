"""Keyset paging: a page starts after the row that the marker names, so it costs the same at any depth."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, literal, or_, tuple_


def newest_first(query: Select[Any], moment: Any, tie: Any, after: tuple[Any, Any] | None, limit: int) -> Select[Any]:
    """``query`` from the newest row on, at most ``limit`` rows, after the row at (moment, tie)."""
    if after is not None:
        query = query.where(_before(moment, tie, after))
    return query.order_by(moment.desc(), tie.desc()).limit(limit)


def _before(moment: Any, tie: Any, after: tuple[Any, Any]) -> ColumnElement[bool]:
    # typed by their columns: a bare value would be bound as another type than what is stored
    return tuple_(moment, tie) < tuple_(literal(after[0], moment.type), literal(after[1], tie.type))


def in_order(query: Select[Any], keys: Sequence[tuple[Any, bool]], after: Sequence[Any] | None, limit: int) -> Select[Any]:
    """``query`` by ``keys`` (expressions that are never NULL, and whether each descends), after the row with the values ``after``.

    The last key tells every two rows apart.
    """
    if after is not None:
        bound = [literal(value, key.type) for (key, _), value in zip(keys, after, strict=True)]
        query = query.where(or_(*(_beyond(keys, bound, position) for position in range(len(keys)))))
    return query.order_by(*(key.desc() if is_descending else key.asc() for key, is_descending in keys)).limit(limit)


def _beyond(keys: Sequence[tuple[Any, bool]], bound: Sequence[Any], position: int) -> ColumnElement[bool]:
    """Alike in every key before ``position``, and further on in that one."""
    alike = [key == value for (key, _), value in zip(keys[:position], bound, strict=False)]
    key, is_descending = keys[position]
    return and_(*alike, key < bound[position] if is_descending else key > bound[position])
