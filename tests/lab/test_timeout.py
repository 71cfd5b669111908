"""A copy that does not end within the limit by size: the timeout's action, on real hosts, against a guest that never converges."""

from __future__ import annotations

import pytest

from lmigrate.clock import monotonic_s
from lmigrate.lab.topology import Lab
from tests.lab.conftest import Restart, StartGuest
from tests.lab.moves import assert_home, assert_moved
from tests.lab.wire import Wire, story
from tests.lab.world import World, assert_unchanged

pytestmark = [pytest.mark.lab, pytest.mark.one_database]

#: The guest counts for 2 GiB, so that its limit is 2 s; its 24 MiB take longer, and what it rewrites never ends.
SHORT = {"LMIGRATE_MIGRATION__COMPLETION_TIMEOUT_S": "1", "LMIGRATE_MIGRATION__BANDWIDTH_MIB_S": "4"}
BUSY = {"fill_mib": 24, "memory_mib": 64, "dirty_mib": 8, "dirty_mib_per_s": 100.0}
FORCE_COMPLETE = {"LMIGRATE_MIGRATION__TIMEOUT_ACTION": "force_complete"}
POST_COPY = {"LMIGRATE_MIGRATION__PERMIT_POST_COPY": "true"}


def test_the_timeout_aborts_and_leaves_the_guest_as_it_was(lab: Lab, wire: Wire, start: StartGuest, restart: Restart) -> None:
    restart({**SHORT, "LMIGRATE_MIGRATION__TIMEOUT_ACTION": "abort"})
    guest = start("node5", **BUSY)
    before, began = World.of(lab), monotonic_s()
    ended = wire.move(guest.uuid, "node6")
    assert ended["status"] == "failed", story(ended)
    assert "(limit 2 s for 2 GiB)" in ended["error"], story(ended)
    assert_unchanged(lab, before)
    assert_home(lab, wire, guest, "node5")
    guest.wait_ticks(2)
    assert guest.report(began).is_unbroken


@pytest.mark.parametrize(
    ("permitted", "said"),
    [({}, "the guest is paused so that its copy ends: not completed after"), (POST_COPY, "switching to post-copy: not completed after")],
    ids=["by-a-pause", "by-post-copy"],
)
def test_the_timeout_completes_the_move(
    lab: Lab, wire: Wire, start: StartGuest, restart: Restart, permitted: dict[str, str], said: str
) -> None:
    restart({**SHORT, **FORCE_COMPLETE, **permitted})
    guest, began = start("node5", **BUSY), monotonic_s()
    ended = wire.move(guest.uuid, "node6")
    assert [said in str(event["details"]) for event in ended["events"]].count(True) == 1, story(ended)
    assert (ended["post_copy_at"] is not None) is bool(permitted), story(ended)
    assert_moved(lab, wire, guest, ended, since=began)
