"""What the fixed world lacks for some requests: a guest of their own, and daemons that have answered already."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from functools import partial
from typing import Any

from sqlalchemy import event

from lmigrate.db.models import Migration, Volume
from lmigrate.states import HoldReason, MigrationStatus, Phase, StepState, VolumeState
from tests.contract.api_world import add, at, guest, migration
from tests.factories.journal import MIB, action_row, step_row

SIZE_BYTES = 20 * 1024 * MIB


def uuid_of(minute: int) -> str:
    """The UUID of the guest that was made then."""
    return f"{minute:08d}-0000-4000-8000-000000000000"


@contextlib.contextmanager
def checked_at_once(minute: int) -> Iterator[None]:
    """An idle guest, and hosts that find nothing against moving it."""
    add(guest(uuid_of(minute), f"app{minute}", minute))
    with _written(Migration, {"prechecked_at": at(minute)}):
        yield


def registered_at_once() -> contextlib.AbstractContextManager[None]:
    """A storage daemon that has found the volume."""
    return _written(Volume, {"state": VolumeState.AVAILABLE, "size_bytes": SIZE_BYTES})


@contextlib.contextmanager
def held(minute: int) -> Iterator[None]:
    """A guest that its source stopped to hand it over, when the link went."""
    row = guest(uuid_of(minute), "mail1", minute)
    add(row)
    reason = "the source stopped the guest to hand it over, and the destination never ran it"
    fields: dict[str, Any] = {"error_code": "NeedsOperator", "error": reason, "hold_reason": HoldReason.STOPPED_AT_SWITCHOVER}
    moved = migration(row, minute, MigrationStatus.ERROR, held_at=at(minute), **fields)
    moved.phase = Phase.HELD
    add(moved)
    add(action_row(moved, started_at=at(minute), updated_at=at(minute)), step_row(moved, 0, "migrate", state=StepState.FAILED))
    yield


@contextlib.contextmanager
def vanished(minute: int) -> Iterator[None]:
    """A guest whose domain no host has any more."""
    add(guest(uuid_of(minute), "tmp1", minute, anomaly="its domain has vanished from node5"))
    yield


@contextlib.contextmanager
def _written(kind: type[Migration | Volume], values: dict[str, Any]) -> Iterator[None]:
    """New rows are what they would be a moment later."""
    listener = partial(_answer, values)
    event.listen(kind, "before_insert", listener)
    try:
        yield
    finally:
        event.remove(kind, "before_insert", listener)


def _answer(values: dict[str, Any], _mapper: object, _connection: object, row: object) -> None:
    for name, value in values.items():
        setattr(row, name, value)
