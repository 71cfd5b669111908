"""However many conductors run, one at a time looks for what stands still, and none waits long for one that has died."""

from __future__ import annotations

import threading

import pytest

from lmigrate import clock
from lmigrate.config import settings
from lmigrate.db.clock import ago
from lmigrate.db.models import Turn as TurnRow
from lmigrate.db.session import reading, writing
from lmigrate.db.stores import turns
from lmigrate.migration import reconcile as reconciler
from lmigrate.migration.turn import LEASE_S, Turn, taking_turns
from tasks import conductor

FIRST, SECOND = "11111111-1111-4111-8111-111111111111", "22222222-2222-4222-8222-222222222222"


def take(owner: str) -> bool:
    with writing() as session:
        return turns.take(session, "reconcile", owner, LEASE_S)


def test_one_has_it_until_it_is_given_back(database: str) -> None:
    assert [take(FIRST), take(SECOND), take(FIRST), take(SECOND)] == [True, False, True, False]
    with writing() as session:
        turns.give_back(session, "reconcile", SECOND)  # it is not theirs
    assert not take(SECOND)
    with writing() as session:
        turns.give_back(session, "reconcile", FIRST)
    assert [take(SECOND), take(FIRST)] == [True, False]


def test_it_comes_free_when_its_owner_has_died(database: str) -> None:
    assert take(FIRST)
    with writing() as session:
        session.get_one(TurnRow, "reconcile").until = ago(1)
    assert [take(SECOND), take(FIRST)] == [True, False]


def test_of_many_at_once_one_gets_it(database: str) -> None:
    """Also the first time, when there is no row yet."""
    begun, got = threading.Barrier(4), []

    def try_to(owner: str) -> None:
        begun.wait()
        got.append(take(owner))

    threads = [threading.Thread(target=try_to, args=(f"{number}" * 36,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(got) == [False, False, False, True]


def test_a_long_look_keeps_its_turn_and_a_lost_one_is_seen(database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    turn, now = Turn("reconcile"), clock.monotonic_s()
    assert turn.keep()
    with writing() as session:
        session.get_one(TurnRow, "reconcile").owner = SECOND  # as after a stop that was longer than the lease
    assert turn.keep()  # it was asked for only just now
    monkeypatch.setattr(clock, "monotonic_s", lambda: now + LEASE_S)
    assert not turn.keep()


def test_it_is_given_back_after_a_failure(database: str) -> None:
    with pytest.raises(ZeroDivisionError), taking_turns("reconcile"):
        raise ZeroDivisionError
    assert take(SECOND)


def test_a_second_conductor_leaves_the_look_to_the_first(database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    looks: list[bool] = []

    def look(*_: object, is_our_turn: object) -> list[str]:
        assert callable(is_our_turn)
        looks.append(is_our_turn())
        return []

    monkeypatch.setattr(reconciler, "reconcile", look)
    monkeypatch.setattr(conductor._PACE, "admits", lambda: True)
    assert take(FIRST)
    assert (conductor.reconcile.run(), looks) == ("another conductor is about it", [])
    with writing() as session:
        turns.give_back(session, "reconcile", FIRST)
    assert (conductor.reconcile.run(), looks) == ("nothing stands still", [True])
    with reading() as session:
        assert session.get_one(TurnRow, "reconcile").owner != FIRST


def test_whose_turn_is_over_looks_at_no_further_migration(database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []
    monkeypatch.setattr(reconciler, "_open_migrations", lambda: [1, 2, 3])
    monkeypatch.setattr(reconciler, "_reconcile_one", lambda migration_id, *_: seen.append(migration_id))
    left = iter([True, True, False])
    reconciler.reconcile(settings(), None, is_our_turn=lambda: next(left))  # type: ignore[arg-type]  # nothing is sent
    assert seen == [1, 2]
