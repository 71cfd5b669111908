"""A move that is broken off, and what must be true after a migration, whatever it was."""

from __future__ import annotations

from typing import Any

from lmigrate.lab.guests.guest import Guest
from lmigrate.lab.topology import Lab
from tests.lab.wire import Wire, story
from tests.lab.world import World, files_of_guest

#: a guest that stands still for longer waits for somebody; how long a move's pause is, is measured in benchmarks/
LONGEST_PAUSE_MS = 20_000


def other(host: str) -> str:
    """The host at the other end."""
    return {"node5": "node6", "node6": "node5"}[host]


def aborted_in_the_copy(lab: Lab, wire: Wire, uuid: str) -> None:
    """Move a guest from node5 over a link on which that takes many seconds, and abort when a part is copied."""
    lab.slow("node5", "16mbit")
    try:
        migration = wire.begin(uuid, "node6")
        wire.until(migration, lambda found: found["progress"]["memory_processed_bytes"] > 0)
        assert wire.abort(uuid, migration).status_code == 202
        ended = wire.end(migration)
    finally:
        lab.slow("node5", None)
    assert ended["status"] == "cancelled", story(ended)


def assert_moved(lab: Lab, wire: Wire, guest: Guest, ended: dict[str, Any], *, since: float) -> None:
    """The guest went on without a break, it is on the destination alone, and the books are closed."""
    assert ended["status"] == "completed", story(ended)
    guest.wait_ticks(3)
    report = guest.report(since)
    assert report.is_unbroken, report
    assert report.pause_ms < LONGEST_PAUSE_MS, report
    assert_home(lab, wire, guest, ended["dest_host"])


def assert_home(lab: Lab, wire: Wire, guest: Guest, host: str) -> None:
    """The guest is on ``host`` alone, in libvirt, in the records and in the file system."""
    seen = wire.server(guest.uuid)
    assert (seen["host"], seen["vm_state"], seen["task_state"]) == (host, "active", None)
    assert guest.states() == {host: "running"}
    world = World.of(lab)
    assert not any(world.books.values()), world.books
    assert not [path for path in world.files if ".lmigrate" in path[1]]
    if lab.options.instances == "private":
        assert {name for name in lab.hosts if files_of_guest(lab.host(name), guest.uuid)} == {host}
