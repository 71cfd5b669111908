"""The advice: real names, no command on the wrong host, never both copies at once."""

from __future__ import annotations

import itertools

import pytest

from lmigrate.doctor import conditions
from lmigrate.doctor.held import Held, advise
from lmigrate.host.reconcile import Anomaly
from lmigrate.migration.verdict import Seen
from lmigrate.states import HoldReason, PowerState

UUID = "8f14e45f-ceea-467f-a0e6-1d2f2c1f0c55"
SEEN = [
    None,
    Seen(exists=False),
    Seen(exists=True, power_state=PowerState.RUNNING, reason="booted", is_persistent=True),
    Seen(exists=True, power_state=PowerState.PAUSED, reason="migration", is_ours=True),
    Seen(exists=True, power_state=PowerState.PAUSED, reason="user", is_ours=True),
    Seen(exists=True, power_state=PowerState.SHUTOFF, reason="migrated", is_persistent=True),
    Seen(exists=True, power_state=PowerState.SHUTOFF, reason="unknown", is_ours=True, is_persistent=True),
]


def held(source: Seen | None = None, destination: Seen | None = None, *, is_switched_over: bool = False) -> Held:
    return Held(17, UUID, "node5", "node6", source, destination, is_switched_over)


@pytest.mark.parametrize("reason", HoldReason)
def test_every_way_that_can_be_followed_ends_with_lmigrate(reason: HoldReason) -> None:
    for source, destination in itertools.product(SEEN, SEEN):
        advice = advise(reason, held(source, destination))
        assert advice.look
        assert advice.ways
        for way in advice.ways:
            resolving = [one for one in way.commands if one.command.startswith("lmigrate migration resolve 17 --running-on node")]
            assert len(resolving) == 1 or "brought back" in way.when
            for one in [*advice.look, *way.commands]:
                assert (one.host is None) == one.command.startswith("lmigrate ")
                assert UUID in one.command or "17" in one.command or "node" in one.command or one.command.startswith("systemctl")


@pytest.mark.parametrize(
    "reason", [HoldReason.RUNS_ON_BOTH, HoldReason.COPY_HAS_RUN, HoldReason.STOPPED_ON_BOTH, HoldReason.FOREIGN_DOMAIN]
)
def test_a_copy_runs_only_after_the_other_has_ended(reason: HoldReason) -> None:
    for source, destination in itertools.product(SEEN, SEEN):
        for way in advise(reason, held(source, destination)).ways:
            verbs = [one.command.split()[3] for one in way.commands if one.host is not None]
            if "resume" in verbs and "destroy" in verbs:
                assert verbs.index("destroy") < verbs.index("resume")


def test_what_is_literally_said() -> None:
    advice = advise(HoldReason.COPY_HAS_RUN, held(SEEN[2], SEEN[4]))
    assert [f"{one.host}: {one.command}" for one in advice.ways[0].commands] == [
        f"node6: virsh -c qemu:///system destroy {UUID}",
        "None: lmigrate migration resolve 17 --running-on node5",
    ]
    assert [f"{one.host}: {one.command}" for one in advice.ways[1].commands] == [
        f"node5: virsh -c qemu:///system destroy {UUID}",
        f"node6: virsh -c qemu:///system resume {UUID}",
        "None: lmigrate migration resolve 17 --running-on node6",
    ]


@pytest.mark.parametrize("reason", [HoldReason.SOURCE_SILENT, HoldReason.DESTINATION_SILENT])
def test_fencing_is_said_in_so_many_words(reason: HoldReason) -> None:
    gone = "node5" if reason is HoldReason.SOURCE_SILENT else "node6"
    fencing = [way for way in advise(reason, held()).ways if "cut its power" in way.when]
    assert fencing
    assert all(way.commands[-1].command.endswith(f"--fenced {gone}") for way in fencing)


def test_after_the_switchover_the_guest_is_never_said_to_be_back() -> None:
    for reason in (HoldReason.SOURCE_SILENT, HoldReason.DESTINATION_SILENT):
        for way in advise(reason, held(is_switched_over=True)).ways:
            assert not any("--running-on node5" in one.command for one in way.commands)


@pytest.mark.parametrize(("fenced", "back", "on"), [("node5", " --fenced node5", " --fenced node5"), ("node6", " --fenced node6", "")])
def test_a_host_that_was_fenced_is_named_again(fenced: str, back: str, on: str) -> None:
    known = Held(17, UUID, "node5", "node6", None, None, fenced=fenced)
    assert known.running_on_source.command.endswith(f"--running-on node5{back}")
    assert known.running_on_destination.command.endswith(f"--running-on node6{on}")


def test_a_guest_on_two_hosts_keeps_one_of_them() -> None:
    advice = conditions.of_guest(Anomaly.RUNS_ON_SEVERAL, UUID, ["node5", "node6"], ["node5", "node6"])
    assert [[one.host for one in way.commands] for way in advice.ways] == [["node6"], ["node5"]]


def test_a_guest_that_is_defined_twice_is_started_where_its_disks_are() -> None:
    advice = conditions.of_guest(Anomaly.DEFINED_ON_SEVERAL, UUID, ["node5", "node6"], [])
    assert [one.command.split()[3] for one in advice.ways[0].commands] == ["undefine", "start"]
    assert [one.host for one in advice.ways[0].commands] == ["node6", "node5"]


def test_a_host_with_guests_needs_fencing() -> None:
    assert not [way for way in conditions.of_host("node5", 0, is_libvirt_only=False).ways if "cut its power" in way.when]
    assert [way for way in conditions.of_host("node5", 3, is_libvirt_only=False).ways if "cut its power" in way.when]


def test_a_host_that_was_forced_down_is_believed_again_and_not_restarted() -> None:
    way = conditions.of_host("node5", 0, is_libvirt_only=False, is_forced=True).ways[0]
    assert [one.command for one in way.commands] == ["lmigrate service force-down node5 --unset"]


def test_a_guest_that_vanished_can_be_forgotten() -> None:
    way = conditions.of_guest(Anomaly.VANISHED, UUID, [], []).ways[0]
    assert [one.command for one in way.commands] == [f"lmigrate server forget {UUID}"]


@pytest.mark.parametrize("anomaly", Anomaly)
def test_an_anomaly_is_known_by_its_sentence(anomaly: Anomaly) -> None:
    assert Anomaly.of(f"{anomaly.value} …") is anomaly
