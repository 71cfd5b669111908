"""Claims by compare-and-set, on both databases."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import timedelta

import pytest
from sqlalchemy import update

from lmigrate.db.clock import utcnow
from lmigrate.db.models import MigrationStep
from lmigrate.db.session import reading, writing
from lmigrate.db.stores import journal
from lmigrate.db.stores.journal import Claimant
from lmigrate.states import StepState
from tests.factories import records

STEPS = ["first", "second", "third"]
THREADS = 16


def claimant(owner: str, lease_s: float = 30) -> Claimant:
    return Claimant(owner, "epoch", lease_s)


@pytest.fixture
def migration_id(database: str) -> int:
    with writing() as session:
        session.add(instance := records.instance_row("node5"))
        session.flush()
        session.add(migration := records.migration_row(instance))
        session.flush()
        journal.plan_attempt(session, migration, STEPS, {"second": "node6"})
        return migration.id


def row(migration_id: int, name: str = "first") -> MigrationStep:
    with reading() as session:
        found = journal.find(session, migration_id, 1, name)
        assert found is not None
        return found


def claim(migration_id: int, owner: str, name: str = "first", lease_s: float = 30) -> bool:
    with writing() as session:
        return journal.claim(session, migration_id, 1, name, claimant(owner, lease_s))


def do(function: Callable[..., bool], *args: object) -> bool:
    with writing() as session:
        return function(session, *args)


def race(work: Callable[[int], bool]) -> list[bool]:
    """The results of ``work(number)`` in 16 threads that begin together."""
    barrier = threading.Barrier(THREADS)
    results: list[bool] = []

    def run(number: int) -> None:
        barrier.wait()
        results.append(work(number))

    threads = [threading.Thread(target=run, args=(number,)) for number in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == THREADS
    return results


def test_the_first_step_is_ready_the_others_wait(migration_id: int) -> None:
    assert [row(migration_id, name).state for name in STEPS] == [StepState.READY, StepState.PENDING, StepState.PENDING]
    assert not claim(migration_id, "a", "second")


def test_of_many_exactly_one_wins(migration_id: int) -> None:
    assert sum(race(lambda number: claim(migration_id, f"worker {number}"))) == 1
    assert row(migration_id).tries == 1


def test_of_many_exactly_one_takes_over_a_lost_claim(migration_id: int) -> None:
    assert claim(migration_id, "dead", lease_s=-1)
    assert sum(race(lambda number: claim(migration_id, f"worker {number}"))) == 1
    assert row(migration_id).tries == 2


def test_of_many_exactly_one_undoes(migration_id: int) -> None:
    assert claim(migration_id, "a")
    assert do(journal.fail, row(migration_id), "Code", "why")

    def undo(number: int) -> bool:
        with writing() as session:
            return journal.claim_undo(session, migration_id, 1, "first", claimant(f"worker {number}"))

    assert sum(race(undo)) == 1


def test_a_kept_lease_is_not_taken(migration_id: int) -> None:
    assert claim(migration_id, "a")
    assert not claim(migration_id, "b")
    with writing() as session:
        assert not journal.claim_undo(session, migration_id, 1, "first", claimant("b"))


def test_a_step_that_waits_before_its_next_try(migration_id: int) -> None:
    assert claim(migration_id, "a")
    assert do(journal.retry_later, row(migration_id), "Code", "why", 60)
    assert not claim(migration_id, "b")
    with writing() as session:
        session.execute(update(MigrationStep).values(ready_at=utcnow() - timedelta(seconds=1)))
    assert claim(migration_id, "b")
    assert (row(migration_id).error, row(migration_id).tries) == (None, 2)


def test_the_next_step_is_claimed_at_once_though_another_machine_made_it_ready(migration_id: int) -> None:
    """That machine's idea of the database's clock was ahead of ours by some milliseconds: all of the chain found nothing to do."""
    with writing() as session:
        session.execute(update(MigrationStep).where(MigrationStep.position == 0).values(ready_at=utcnow() + timedelta(seconds=60)))
    assert claim(migration_id, "a")


def test_an_undo_that_was_given_back_is_claimed_at_once_by_a_clock_that_is_behind(
    migration_id: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert claim(migration_id, "a")
    assert do(journal.claim_undo, migration_id, 1, "first", claimant("b")) is False
    assert do(journal.fail, row(migration_id), "Code", "why")
    assert do(journal.claim_undo, migration_id, 1, "first", claimant("b"))
    assert do(journal.release_undo, row(migration_id), "why")
    behind = utcnow() - timedelta(milliseconds=500)
    monkeypatch.setattr("lmigrate.db.stores.journal.utcnow", lambda: behind)
    assert do(journal.claim_undo, migration_id, 1, "first", claimant("c"))


def test_finish_writes_the_facts_and_readies_the_next(migration_id: int) -> None:
    assert claim(migration_id, "a")
    assert do(journal.finish, row(migration_id), {"made": ["x"]})
    assert (row(migration_id).state, row(migration_id).facts) == (StepState.DONE, {"made": ["x"]})
    assert claim(migration_id, "b", "second")
    assert not claim(migration_id, "b", "third")
    assert not claim(migration_id, "a")  # done is done


@pytest.mark.parametrize(
    ("late", "args"),
    [(journal.finish, ({"made": 1},)), (journal.fail, ("Code", "why")), (journal.keep_facts, ({"made": 1},))],
    ids=["finish", "fail", "keep_facts"],
)
def test_who_has_lost_the_claim_writes_nothing(migration_id: int, late: Callable[..., bool], args: tuple[object, ...]) -> None:
    assert claim(migration_id, "slow", lease_s=-1)
    slow = row(migration_id)
    assert claim(migration_id, "fast")
    assert not do(late, slow, *args)
    now = row(migration_id)
    assert (now.state, now.owner, now.facts, now.error) == (StepState.RUNNING, "fast", None, None)
    assert row(migration_id, "second").state is StepState.PENDING


def test_a_lease_is_renewed_by_its_owner_alone(migration_id: int) -> None:
    assert claim(migration_id, "a", lease_s=1)
    before = row(migration_id).lease_until
    with writing() as session:
        assert not journal.renew(session, migration_id, 1, "first", claimant("b"))
        assert journal.renew(session, migration_id, 1, "first", claimant("a", 60))
    after = row(migration_id).lease_until
    assert before is not None
    assert after is not None
    assert after > before


def test_no_lease_after_the_end(migration_id: int) -> None:
    assert claim(migration_id, "a")
    assert do(journal.finish, row(migration_id), {})
    with writing() as session:
        assert not journal.renew(session, migration_id, 1, "first", claimant("a"))


def test_undo_and_its_failure(migration_id: int) -> None:
    assert claim(migration_id, "a")
    assert do(journal.finish, row(migration_id), {"made": 1})
    with writing() as session:
        assert journal.claim_undo(session, migration_id, 1, "first", claimant("b"))
    assert row(migration_id).facts == {"made": 1}
    assert do(journal.release_undo, row(migration_id), "disk is busy")
    assert (row(migration_id).state, row(migration_id).error) == (StepState.UNDOING, "disk is busy")
    with writing() as session:
        assert journal.claim_undo(session, migration_id, 1, "first", claimant("c"))
    assert do(journal.finish_undo, row(migration_id))
    with writing() as session:
        assert not journal.claim_undo(session, migration_id, 1, "first", claimant("d"))
        assert not journal.claim(session, migration_id, 1, "first", claimant("d"))


def test_a_step_that_never_began_is_not_undone(migration_id: int) -> None:
    with writing() as session:
        assert not journal.claim_undo(session, migration_id, 1, "first", claimant("a"))
        assert not journal.claim_undo(session, migration_id, 1, "second", claimant("a"))


def test_undo_goes_backwards(migration_id: int) -> None:
    for name in STEPS[:2]:
        assert claim(migration_id, name, name)
        assert do(journal.finish, row(migration_id, name), {})
    with reading() as session:
        steps = [journal.find(session, migration_id, 1, name) for name in STEPS]
        assert [step.name for step in journal.to_undo([step for step in steps if step is not None])] == ["second", "first"]
