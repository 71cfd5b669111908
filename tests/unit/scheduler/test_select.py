from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lmigrate.errors import UnknownHost
from lmigrate.scheduler.select import considered, evaluate, no_valid_host, outlooks
from tests.unit.scheduler.states import UUID, host_state, spec


def test_the_host_with_the_most_free_memory_is_best() -> None:
    hosts = [host_state("node6", memory_mib=4096), host_state("node7", memory_mib=8192), host_state("node8", memory_mib=6144)]
    assert evaluate(hosts, spec()).names == ["node7", "node8", "node6"]


def test_a_host_with_fewer_incoming_migrations_is_better() -> None:
    hosts = [host_state("node6", incoming_migrations=2), host_state("node7", incoming_migrations=1)]
    assert evaluate(hosts, spec()).names == ["node7", "node6"]


def test_equals_come_in_the_order_of_their_names() -> None:
    assert evaluate([host_state(name) for name in ("node8", "node6", "node7")], spec()).names == ["node6", "node7", "node8"]


def test_every_refused_host_has_its_reason() -> None:
    hosts = [host_state("node5"), host_state("node6", is_enabled=False), host_state("node7", memory_mib=100)]
    verdict = evaluate(hosts, spec())
    assert verdict.names == []
    assert str(no_valid_host(verdict.refused, spec())) == (
        "No valid host was found. node6: it is disabled; "
        f"node7: Unable to migrate {UUID} to node7: Lack of memory(host:100 <= instance:1024)"
    )


def test_the_source_is_told_when_it_is_all_there_is() -> None:
    verdict = evaluate([host_state("node5")], spec())
    assert "to current host (node5)" in str(no_valid_host(verdict.refused, spec()))


def test_no_host_at_all() -> None:
    assert str(no_valid_host({}, spec())) == "No valid host was found. No host has registered."


def test_a_requested_destination_is_the_only_one_considered() -> None:
    hosts = [host_state("node6"), host_state("node7")]
    assert considered(hosts, spec(requested_destination="node7")) == [hosts[1]]
    with pytest.raises(UnknownHost, match="Compute host node9 could not be found"):
        considered(hosts, spec(requested_destination="node9"))


def test_force_skips_what_an_operator_may_know_better() -> None:
    host = host_state("node6", is_enabled=False, disk_free_bytes=0)
    forced = spec(is_forced=True, requested_destination="node6", disk_bytes=1 << 30)
    assert evaluate([host], forced).names == ["node6"]


@pytest.mark.parametrize(
    "fields", [{"down_reason": "gone"}, {"memory_mib": 10}, {"hypervisor_type": "Xen"}, {"qemu_version": 1}, {"virt_types": ()}]
)
def test_force_does_not_skip_what_cannot_work(fields: dict[str, object]) -> None:
    forced = spec(is_forced=True, hypervisor_type="QEMU", qemu_version=7_000_000)
    assert evaluate([host_state("node6", **fields)], forced).names == []
    assert evaluate([host_state("node5")], spec(is_forced=True)).names == []


_HOSTS = st.lists(
    st.builds(
        host_state,
        st.sampled_from([f"node{number}" for number in range(12)]),
        memory_mib=st.integers(0, 8192),
        used_memory_mib=st.integers(0, 8192),
        incoming_migrations=st.integers(0, 5),
        is_enabled=st.booleans(),
        down_reason=st.sampled_from([None, "gone"]),
    ),
    unique_by=lambda host: host.name,
)


@given(_HOSTS)
def test_each_host_is_either_a_candidate_that_can_or_refused_with_a_reason(hosts: list) -> None:  # type: ignore[type-arg]
    verdict = evaluate(hosts, spec())
    assert set(verdict.names) | set(verdict.refused) == {host.name for host in hosts}
    assert not set(verdict.names) & set(verdict.refused)
    for host in verdict.candidates:
        assert host.available_memory_mib > 1024
        assert host.is_enabled
        assert host.down_reason is None
        assert host.name != "node5"


@given(_HOSTS)
def test_an_outlook_is_the_verdict_with_all_reasons(hosts: list) -> None:  # type: ignore[type-arg]
    verdict, found = evaluate(hosts, spec()), outlooks(hosts, spec())
    assert [one.host for one in found if not one.reasons] == verdict.names
    assert {one.host: one.reasons[0] for one in found if one.reasons} == verdict.refused
    assert len(found) == len(hosts)


def test_an_outlook_tells_every_reason_in_the_filters_order() -> None:
    (only,) = outlooks([host_state("node6", down_reason="gone", is_enabled=False, memory_mib=10)], spec())
    assert ["gone" in only.reasons[0], "disabled" in only.reasons[1], "Lack of memory" in only.reasons[2]] == [True] * 3
