"""What is still to come about of what was asked for."""

from __future__ import annotations

from typing import Any

import pytest

from lmigrate.clock import utcnow
from lmigrate.db.models import Migration
from lmigrate.db.stores import wishes
from lmigrate.states import PendingRequest, Phase

ABORT, FORCE = PendingRequest.ABORT, PendingRequest.FORCE_COMPLETE


@pytest.mark.parametrize(
    ("asked", "phase", "happened", "pending"),
    [
        ((), Phase.FORWARD, (), None),
        ((ABORT,), Phase.FORWARD, (), ABORT),
        ((ABORT,), Phase.ROLLING_BACK, (), ABORT),
        ((ABORT,), Phase.HELD, (), ABORT),
        ((ABORT,), Phase.ENDED, (), None),
        ((ABORT,), Phase.FORWARD, ("switched_over_at",), None),
        ((FORCE,), Phase.FORWARD, (), FORCE),
        ((FORCE,), Phase.FORWARD, ("post_copy_at",), None),
        ((FORCE,), Phase.FORWARD, ("switched_over_at",), None),
        ((FORCE,), Phase.ROLLING_BACK, (), None),
        ((FORCE,), Phase.ENDED, (), None),
        ((FORCE, ABORT), Phase.FORWARD, (), ABORT),
    ],
)
def test_what_is_pending(
    asked: tuple[PendingRequest, ...], phase: Phase, happened: tuple[str, ...], pending: PendingRequest | None
) -> None:
    moments: dict[str, Any] = dict.fromkeys((*(f"{one}_requested_at" for one in asked), *happened), utcnow())
    assert wishes.pending(Migration(phase=phase, **moments)) is pending
