"""What every hypervisor does: the fake is held to it, and `tests/lab/test_conformance.py` holds libvirt to it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import replace

import pytest

from lmigrate.errors import DomainNotFound, HypervisorError
from lmigrate.ids import new_uuid
from lmigrate.states import PowerState
from lmigrate.virt.protocol import Hypervisor
from lmigrate.virt.types import DomainInfo, JobType, MigrateSpec
from tests.conformance.pair import MEMORY_MIB, Pair, spec

MARK = "7f0b7c39-9f0e-4c83-a9a1-0d0d5a7c6a51"


def state(hypervisor: Hypervisor, uuid: str) -> tuple[PowerState, str] | None:
    found = hypervisor.domain(uuid)
    return None if found is None else (found.power_state, found.reason)


def present(hypervisor: Hypervisor, uuid: str) -> DomainInfo:
    found = hypervisor.domain(uuid)
    assert found is not None
    return found


def until(condition: Callable[[], bool], timeout_s: float = 15.0) -> None:
    deadline_s = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline_s, "waited in vain"
        time.sleep(0.01)


def longest_call_s(call: Callable[[], object], calls: int = 8) -> float:
    took_s = []
    for _ in range(calls):
        began_s = time.monotonic()
        call()
        took_s.append(time.monotonic() - began_s)
        time.sleep(0.1)
    return max(took_s)


class InBackground:
    """A migrate call in a thread, as the migrate step makes it."""

    def __init__(self, hypervisor: Hypervisor, spec: MigrateSpec) -> None:
        self.error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, args=(hypervisor, spec), daemon=True)
        self._thread.start()

    def _run(self, hypervisor: Hypervisor, spec: MigrateSpec) -> None:
        try:
            hypervisor.migrate(spec)
        except BaseException as error:  # noqa: BLE001 - the test looks at it
            self.error = error

    def end(self) -> BaseException | None:
        self._thread.join(30)
        assert not self._thread.is_alive()
        return self.error


def test_an_unknown_domain_is_none(pair: Pair) -> None:
    unknown = new_uuid()
    assert pair.source.domain(unknown) is None
    assert pair.source.job(unknown).type is JobType.NONE
    with pytest.raises(DomainNotFound, match=unknown):
        pair.source.domain_xml(unknown)


def test_what_is_absent_is_removed_without_complaint(pair: Pair) -> None:
    pair.source.undefine(new_uuid())
    pair.source.destroy(new_uuid())


@pytest.mark.parametrize("is_persistent", [True, False])
def test_a_running_guest(pair: Pair, *, is_persistent: bool) -> None:
    uuid = pair.boot(is_persistent=is_persistent)
    found = present(pair.source, uuid)
    assert (found.power_state, found.reason, found.is_persistent) == (PowerState.RUNNING, "booted", is_persistent)
    assert (found.memory_mib, found.vcpus, found.name, found.migration_mark) == (MEMORY_MIB, 1, f"guest-{uuid}", None)
    assert uuid in {domain.uuid for domain in pair.source.domains()}
    assert uuid in pair.source.domain_xml(uuid)
    assert uuid in pair.source.domain_xml(uuid, is_inactive=True)
    assert pair.destination.domain(uuid) is None


def test_an_idle_guest_has_no_job(pair: Pair) -> None:
    uuid = pair.boot()
    assert pair.source.job(uuid).type is JobType.NONE
    assert pair.source.completed_job(uuid) is None
    pair.source.abort_job(uuid)
    assert pair.source.free_failed_move(uuid) == []
    pair.source.set_max_downtime_ms(uuid, 100)


def test_a_backup_is_an_obstacle_until_it_ends(pair: Pair) -> None:
    uuid = pair.boot(has_disk=True)
    assert pair.source.interlocks(uuid) == []
    pair.begin_pull_backup(uuid)
    (reason,) = pair.source.interlocks(uuid)
    assert reason == "a backup of vda runs (pull mode): it has no end of its own: whoever reads it ends it (virsh domjobabort)"
    job = pair.source.job(uuid)
    assert (job.is_active, job.is_migration, job.operation) == (True, False, "backup")
    pair.source.abort_job(uuid)
    until(lambda: pair.source.interlocks(uuid) == [] and not pair.source.job(uuid).is_active)
    assert state(pair.source, uuid) == (PowerState.RUNNING, "booted")


def test_whether_the_memory_is_away_is_known_of_a_guest_that_stands_still(pair: Pair) -> None:
    uuid = pair.boot(is_persistent=False)
    assert not pair.source.has_sent_memory(uuid)
    assert not pair.destination.has_sent_memory(uuid)
    pair.source.pause(uuid)
    pair.send_away(uuid)
    assert pair.source.has_sent_memory(uuid)
    assert state(pair.source, uuid) == (PowerState.PAUSED, "user")  # as if nothing had happened


def test_pause_and_resume(pair: Pair) -> None:
    uuid = pair.boot()
    pair.source.pause(uuid)
    assert state(pair.source, uuid) == (PowerState.PAUSED, "user")
    pair.source.pause(uuid)
    pair.source.resume(uuid)
    assert state(pair.source, uuid) == (PowerState.RUNNING, "unpaused")
    with pytest.raises(HypervisorError, match="already running"):
        pair.source.resume(uuid)


def test_define_makes_a_transient_guest_persistent_and_undefine_undoes_it(pair: Pair) -> None:
    uuid = pair.boot(is_persistent=False)
    pair.source.define(pair.source.domain_xml(uuid, is_inactive=True))
    assert present(pair.source, uuid).is_persistent
    pair.source.undefine(uuid)
    assert not present(pair.source, uuid).is_persistent
    assert state(pair.source, uuid) == (PowerState.RUNNING, "booted")


def test_destroy_leaves_a_definition(pair: Pair) -> None:
    uuid = pair.boot()
    pair.source.destroy(uuid)
    assert state(pair.source, uuid) == (PowerState.SHUTOFF, "destroyed")
    assert pair.source.job(uuid).type is JobType.NONE
    pair.source.destroy(uuid)
    pair.source.undefine(uuid)
    assert pair.source.domain(uuid) is None


def test_destroy_leaves_nothing_of_a_transient_guest(pair: Pair) -> None:
    uuid = pair.boot(is_persistent=False)
    pair.source.destroy(uuid)
    assert pair.source.domain(uuid) is None


@pytest.mark.parametrize("is_persistent", [True, False])
def test_a_move(pair: Pair, *, is_persistent: bool) -> None:
    uuid = pair.boot(is_persistent=is_persistent)
    pair.source.migrate(spec(pair, uuid, MARK, is_persistent=is_persistent))
    moved = present(pair.destination, uuid)
    assert (moved.power_state, moved.reason, moved.migration_mark) == (PowerState.RUNNING, "migrated", MARK)
    assert moved.is_persistent is is_persistent
    # without UNDEFINE_SOURCE the definition stays behind, inactive
    assert state(pair.source, uuid) == ((PowerState.SHUTOFF, "migrated") if is_persistent else None)
    completed = pair.destination.completed_job(uuid)
    assert completed is not None
    assert completed.downtime_ms is not None
    assert pair.destination.job(uuid).type is JobType.NONE


def test_a_paused_guest_arrives_paused(pair: Pair) -> None:
    uuid = pair.boot(is_paused=True)
    pair.source.migrate(spec(pair, uuid, MARK))
    assert state(pair.destination, uuid) == (PowerState.PAUSED, "user")
    assert state(pair.source, uuid) == (PowerState.SHUTOFF, "migrated")


def test_the_mark_moves_along_with_the_next_move_back(pair: Pair) -> None:
    uuid = pair.boot()
    pair.source.migrate(spec(pair, uuid, MARK))
    assert MARK in pair.destination.domain_xml(uuid)
    assert MARK in pair.destination.domain_xml(uuid, is_inactive=True)


def test_a_running_copy_and_its_abort(pair: Pair) -> None:
    uuid = pair.boot()
    pair.never_end()
    pair.warm_up()
    call = InBackground(pair.source, spec(pair, uuid, MARK, bandwidth_mib_s=1))
    until(lambda: pair.source.job(uuid).memory_total_bytes > 0 and state(pair.destination, uuid) == (PowerState.PAUSED, "migration"))
    job = pair.source.job(uuid)
    assert (job.is_active, job.operation) == (True, "migration-out")
    assert longest_call_s(lambda: pair.source.job(uuid)) < 1, "calls wait for the move"
    pair.source.set_max_downtime_ms(uuid, 300)
    assert state(pair.source, uuid) == (PowerState.RUNNING, "booted")
    incoming = present(pair.destination, uuid)
    assert (incoming.power_state, incoming.reason, incoming.migration_mark) == (PowerState.PAUSED, "migration", MARK)
    assert not incoming.is_persistent
    assert pair.destination.job(uuid).type is JobType.NONE  # libvirt tells it on the source alone
    pair.source.abort_job(uuid)
    assert isinstance(call.end(), HypervisorError)
    assert state(pair.source, uuid) == (PowerState.RUNNING, "booted")
    assert not pair.source.job(uuid).is_active
    assert pair.destination.domain(uuid) is None


def test_a_guest_that_ends_while_it_is_copied(pair: Pair) -> None:
    uuid = pair.boot()
    pair.never_end()
    pair.warm_up()
    call = InBackground(pair.source, spec(pair, uuid, MARK, bandwidth_mib_s=1))
    until(lambda: pair.source.job(uuid).memory_total_bytes > 0 and state(pair.destination, uuid) == (PowerState.PAUSED, "migration"))
    pair.source.destroy(uuid)
    assert isinstance(call.end(), HypervisorError)
    assert state(pair.source, uuid) == (PowerState.SHUTOFF, "destroyed")
    assert pair.destination.domain(uuid) is None


def test_a_guest_that_is_paused_in_the_copy(pair: Pair) -> None:
    """What the policy's force_complete counts on."""
    uuid = pair.boot()
    pair.warm_up()
    seen: list[tuple[PowerState, str] | None] = []

    def pause() -> None:
        pair.source.pause(uuid)
        seen.append(state(pair.source, uuid))

    pair.in_the_copy(uuid, pause)
    pair.source.migrate(spec(pair, uuid, MARK, bandwidth_mib_s=8))
    assert seen == [(PowerState.PAUSED, "migration")]  # libvirt takes it for a part of the move
    assert state(pair.source, uuid) == (PowerState.SHUTOFF, "migrated")
    assert state(pair.destination, uuid) == (PowerState.RUNNING, "migrated")


def in_post_copy(pair: Pair, uuid: str, act: Callable[[], None], *, is_persistent: bool = True, mib_s: int = 16) -> InBackground:
    """A move that is switched to post-copy; ``act`` is done while the memory follows, which takes some seconds on real hosts."""
    slow = {"bandwidth_mib_s": 2, "post_copy_bandwidth_mib_s": mib_s}
    pair.in_the_copy(uuid, lambda: pair.source.start_post_copy(uuid))
    pair.in_post_copy(uuid, act)
    return InBackground(pair.source, spec(pair, uuid, MARK, is_persistent=is_persistent, post_copy=True, auto_converge=True, **slow))


def sides(pair: Pair, uuid: str) -> tuple[object, object]:
    return state(pair.source, uuid), state(pair.destination, uuid)


@pytest.mark.parametrize("is_persistent", [True, False])
def test_a_move_by_post_copy(pair: Pair, *, is_persistent: bool) -> None:
    """There is no way back: an abort is refused."""
    uuid = pair.boot(is_persistent=is_persistent)
    pair.warm_up()
    seen: list[object] = []

    def look() -> None:
        seen.extend([sides(pair, uuid), pair.source.job(uuid).is_migration, pair.destination.job(uuid).type])
        with pytest.raises(HypervisorError):
            pair.source.abort_job(uuid)
        seen.append(sides(pair, uuid))

    call = in_post_copy(pair, uuid, look, is_persistent=is_persistent)
    assert call.end() is None
    halves = ((PowerState.PAUSED, "postcopy"), (PowerState.RUNNING, "postcopy"))
    assert seen == [halves, True, JobType.NONE, halves]
    until(lambda: sides(pair, uuid) == ((PowerState.SHUTOFF, "migrated") if is_persistent else None, (PowerState.RUNNING, "migrated")))
    assert present(pair.destination, uuid).is_persistent is is_persistent


def test_a_post_copy_that_breaks_and_is_resumed(pair: Pair) -> None:
    uuid = pair.boot()
    pair.warm_up()
    call = in_post_copy(pair, uuid, lambda: pair.source.break_post_copy(uuid), mib_s=2)
    assert isinstance(call.end(), HypervisorError)
    until(lambda: {found.reason for side in (pair.source, pair.destination) if (found := side.domain(uuid))} == {"postcopy-failed"})
    assert state(pair.source, uuid) == (PowerState.PAUSED, "postcopy-failed")
    assert pair.source.job(uuid).is_migration
    with pytest.raises(HypervisorError):
        pair.source.abort_job(uuid)
    until(lambda: is_resumed(pair, uuid), timeout_s=60)
    until(lambda: sides(pair, uuid) == ((PowerState.SHUTOFF, "migrated"), (PowerState.RUNNING, "migrated")), timeout_s=60)
    assert not pair.source.job(uuid).is_active


def is_resumed(pair: Pair, uuid: str) -> bool:
    """Whether the resume was taken: it is refused until the QEMU on either side has seen the break, and may be tried again."""
    try:
        pair.source.migrate(spec(pair, uuid, MARK, post_copy=True, is_resume=True))
    except HypervisorError as error:
        if "migration is still running" in str(error):
            assert pair.source.job(uuid).is_migration
            return False
        # libvirt 9.0 takes the destination's old failure for a new one; QEMU goes on all the same, and libvirt ends the move with it
        assert "failed in post-copy phase" in str(error)  # noqa: PT017
    return True


def test_what_cannot_be_switched_or_resumed(pair: Pair) -> None:
    uuid = pair.boot()
    pair.warm_up()
    refused: list[HypervisorError] = []

    def try_to_switch() -> None:
        for forbidden in (pair.source.start_post_copy, pair.source.break_post_copy):
            with pytest.raises(HypervisorError) as error:
                forbidden(uuid)
            refused.append(error.value)

    try_to_switch()
    with pytest.raises(HypervisorError):
        pair.source.migrate(spec(pair, uuid, MARK, post_copy=True, is_resume=True))
    assert state(pair.source, uuid) == (PowerState.RUNNING, "booted")
    pair.in_the_copy(uuid, try_to_switch)  # it was not begun with post_copy
    pair.source.migrate(spec(pair, uuid, MARK, bandwidth_mib_s=8))
    assert len(refused) == 4
    assert state(pair.destination, uuid) == (PowerState.RUNNING, "migrated")


def test_a_destination_that_cannot_be_reached(pair: Pair) -> None:
    uuid = pair.boot(is_persistent=False)
    nowhere = replace(spec(pair, uuid, MARK, is_persistent=False), dest_uri="qemu+tcp://nowhere.invalid/system")
    with pytest.raises(HypervisorError):
        pair.source.migrate(nowhere)
    assert state(pair.source, uuid) == (PowerState.RUNNING, "booted")
    assert not pair.source.job(uuid).is_active


def test_the_destination_has_the_guest_already(pair: Pair) -> None:
    uuid = pair.boot()
    pair.source.migrate(spec(pair, uuid, MARK))
    with pytest.raises(HypervisorError):
        pair.source.migrate(spec(pair, uuid, MARK))  # it does not run here any more
    assert state(pair.destination, uuid) == (PowerState.RUNNING, "migrated")


def test_nobody_can_move_what_is_not_there(pair: Pair) -> None:
    uuid = pair.boot()
    gone = spec(pair, uuid, MARK)
    pair.source.destroy(uuid)
    pair.source.undefine(uuid)
    with pytest.raises(DomainNotFound):
        pair.source.migrate(gone)


def test_listeners_hear_of_changes(pair: Pair) -> None:
    heard: list[str] = []
    pair.source.listen(heard.append)
    uuid = pair.boot()
    until(lambda: uuid in heard)
