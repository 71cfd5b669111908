"""OpenStack's own clients, unmodified, against real hosts: what moves a guest, stops a move, or is refused."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from lmigrate.clock import monotonic_s
from lmigrate.lab.guests.guest import Guest
from lmigrate.lab.topology import Lab
from tests.clients.client_process import Answer, Shell, Site, run, shell, site
from tests.clients.environments import ANSIBLE, DEBIAN, EXAMPLES, NEWEST, SEVEN, Environment
from tests.clients.test_libraries import PROGRAMS
from tests.lab.conftest import StartGuest
from tests.lab.labs import SMALL_HOST
from tests.lab.moves import assert_home, assert_moved, other
from tests.lab.wire import Wire, eventually, story
from tests.lab.world import World, assert_unchanged

#: ends a migration of one guest: "abort" or "force", and the migration's id
Ends = Callable[[str, int], Answer]

pytestmark = [pytest.mark.lab, pytest.mark.one_database]


@pytest.fixture
def at(lab: Lab, tmp_path: Path) -> Site:
    """The lab, as the documentation's clouds.yaml tells the clients."""
    return site(lab.url, tmp_path, "lmigrate-none")


def newest(wire: Wire, guest: Guest) -> dict[str, Any]:
    """The guest's last migration, from request to end."""
    return wire.end(wire.get("/v1/migrations", server=guest.uuid)["migrations"][0]["id"])


def test_openstack_moves_a_guest_and_waits_for_it(lab: Lab, wire: Wire, guest: Guest, at: Site) -> None:
    began = monotonic_s()
    done = run(NEWEST, at, "openstack", "server", "migrate", "--live-migration", "--wait", guest.name)
    assert (done.code, "Complete" in done.out) == (0, True), done
    assert_moved(lab, wire, guest, newest(wire, guest), since=began)


@pytest.mark.parametrize(("environment", "names_host"), [(SEVEN, True), (DEBIAN, False)], ids=["osc-7", "osc-6"])
def test_older_clients_move_a_guest(lab: Lab, wire: Wire, guest: Guest, at: Site, environment: Environment, names_host: bool) -> None:
    home, began = wire.server(guest.uuid)["host"], monotonic_s()
    destination = ["--host", other(home)] if names_host else []
    done = run(environment, at, "openstack", "server", "migrate", "--live-migration", *destination, guest.name)
    assert done.code == 0, done
    assert_moved(lab, wire, guest, newest(wire, guest), since=began)


def test_openstack_shows_aborts_and_force_completes_running_migrations(lab: Lab, wire: Wire, start: StartGuest, at: Site) -> None:
    guest = start("node5", memory_mib=64, fill_mib=16, dirty_mib=8, dirty_mib_per_s=100.0)
    before, began = World.of(lab), monotonic_s()
    lab.slow("node5", "16mbit")  # the guest writes faster: by itself no copy ends
    try:
        with shell(NEWEST, at) as openstack:
            aborted = moving(openstack, guest)
            assert openstack(f"server migration abort {guest.name} {aborted}").code == 0
            wire.end(aborted)
            listed = openstack(f"server migration list --server {guest.name} --status cancelled -f json").json
            assert [row["Id"] for row in listed] == [aborted]
            assert_unchanged(lab, before)
            assert_home(lab, wire, guest, "node5")
            completed = moving(openstack, guest)
            force(lab, guest, lambda: openstack(f"server migration force complete {guest.name} {completed}"))
            done = [row["Action"] for row in openstack(f"server event list {guest.name} -f json").json]
            assert sorted(done) == ["live-migration", "live-migration", "live_migration_cancel", "live_migration_force_complete"]
    finally:
        lab.slow("node5", None)
    assert_moved(lab, wire, guest, wire.end(completed), since=began)


def the_libraries(library: str, at: Site, guest: Guest) -> Ends:
    """One of the two in the newest environment: a program that asks for one thing."""

    def ask(what: str, _migration: int) -> Answer:
        return run(NEWEST, at, "python", PROGRAMS / "libraries_end.py", guest.name, f"{library}-{what}", **without_keystone(at))

    return ask


def older_openstack(environment: Environment, at: Site, guest: Guest) -> Ends:
    """The command of one environment, told the version that each needs: 6.0 asks for 2.1 by itself."""
    words = {"abort": ["2.24", "abort"], "force": ["2.22", "force", "complete"]}

    def ask(what: str, migration: int) -> Answer:
        version, *verb = words[what]
        arguments = ["--os-compute-api-version", version, "server", "migration", *verb, guest.name, str(migration)]
        return run(environment, at, "openstack", *arguments)

    return ask


OTHERS: dict[str, Callable[[Site, Guest], Ends]] = {
    "sdk": partial(the_libraries, "sdk"),
    "nova": partial(the_libraries, "nova"),
    "osc-7": partial(older_openstack, SEVEN),
    "osc-6": partial(older_openstack, DEBIAN),
}


@pytest.mark.parametrize("client", OTHERS)
def test_other_clients_abort_and_force_complete_running_migrations(lab: Lab, wire: Wire, start: StartGuest, at: Site, client: str) -> None:
    guest = start("node5", memory_mib=64, fill_mib=16, dirty_mib=8, dirty_mib_per_s=100.0)
    began, ask = monotonic_s(), OTHERS[client](at, guest)
    lab.slow("node5", "16mbit")  # the guest writes faster: by itself no copy ends
    try:
        aborted = copying(wire, guest)
        done = ask("abort", aborted)
        assert done.code == 0, done
        ended = wire.end(aborted)
        assert ended["status"] == "cancelled", story(ended)
        assert_home(lab, wire, guest, "node5")
        completed = copying(wire, guest)
        force(lab, guest, lambda: ask("force", completed))
    finally:
        lab.slow("node5", None)
    assert_moved(lab, wire, guest, wire.end(completed), since=began)


def copying(wire: Wire, guest: Guest) -> int:
    """The id of a migration of ``guest`` to node6 whose memory is on its way."""
    migration = wire.begin(guest.uuid, "node6")
    wire.status(migration, "running")
    return migration


def force(lab: Lab, guest: Guest, ask: Callable[[], Answer]) -> None:
    """Ask for completion, see that the guest is paused for it, and let the copy end."""
    lab.slow("node5", "2mbit")  # what the paused guest has still to send takes half a minute: it is seen
    done = ask()
    assert done.code == 0, done
    eventually("the guest is paused, so that its copy ends", lambda: stands_on_node5(lab, guest), 60)
    lab.slow("node5", None)


def stands_on_node5(lab: Lab, guest: Guest) -> bool:
    """Whether node5's libvirt says that the guest is paused; the other hosts are not asked, which takes seconds."""
    return lab.host("node5").virsh("domstate", guest.uuid, check=False).stdout.strip() == "paused"


def moving(openstack: Shell, guest: Guest) -> int:
    """The id of a migration of ``guest`` from node5 that the client has begun, and shown while it copies."""
    assert openstack(f"server migrate --live-migration --host node6 {guest.name}").code == 0
    return running(openstack, guest)


def running(openstack: Shell, guest: Guest) -> int:
    """The id of the guest's running migration, after the client has shown it in its three ways."""
    asked = f"server migration list --server {guest.name} --status running -f json"
    (row,) = eventually("the client lists a running migration", lambda: openstack(asked).json)
    for reference in (row["UUID"], row["Id"]):
        shown = openstack(f"server migration show {guest.name} {reference} -f json").json
        assert (shown["Status"], shown["Dest Compute"]) == ("running", "node6")
    assert openstack(f"server show {guest.name} -f json").json["status"] == "MIGRATING"
    return int(row["Id"])


def test_clients_say_why_a_check_refused(lab: Lab, wire: Wire, guest: Guest, at: Site) -> None:
    home, before = wire.server(guest.uuid)["host"], World.of(lab)
    with shell(NEWEST, at) as openstack:
        full = openstack(f"server migrate --live-migration --host {SMALL_HOST} {guest.name}")
        assert (full.code, "Lack of memory" in full.err) == (1, True), full
        assert openstack(f"compute service set --disable --disable-reason repair {other(home)} nova-compute").code == 0
        try:
            refused = openstack(f"server migrate --live-migration --host {other(home)} {guest.name}")
        finally:
            assert openstack(f"compute service set --enable {other(home)} nova-compute").code == 0
        assert (refused.code, "repair" in refused.err) == (1, True), refused
    later = novaclient_migrates(at, guest, SMALL_HOST)
    assert later.json["status"] == "failed"
    assert "Lack of memory" in str(later.json), later
    assert_unchanged(lab, before)


def test_novaclient_moves_a_guest(lab: Lab, wire: Wire, guest: Guest, at: Site) -> None:
    home, began = wire.server(guest.uuid)["host"], monotonic_s()
    assert novaclient_migrates(at, guest, other(home)).json["status"] == "completed"
    assert_moved(lab, wire, guest, newest(wire, guest), since=began)


def novaclient_migrates(at: Site, guest: Guest, host: str) -> Answer:
    """The program that asks for a move of ``guest``, and waits for its end."""
    return run(NEWEST, at, "python", PROGRAMS / "novaclient_migrate.py", guest.name, host, **without_keystone(at))


def without_keystone(at: Site) -> dict[str, str]:
    """What novaclient has to be told, which reads no clouds.yaml."""
    return {"OS_AUTH_TYPE": "none", "OS_ENDPOINT": f"{at.url}/v2.1"}


def test_the_example_for_openstacksdk_moves_a_guest(lab: Lab, wire: Wire, guest: Guest, at: Site) -> None:
    home, began = wire.server(guest.uuid)["host"], monotonic_s()
    done = run(NEWEST, at, "python", EXAMPLES / "sdk_migrate.py", guest.name, other(home))
    assert (done.code, f"completed: {guest.name} is on {other(home)}" in done.out) == (0, True), done
    assert_moved(lab, wire, guest, newest(wire, guest), since=began)


def test_the_example_for_ansible_moves_a_guest(lab: Lab, wire: Wire, guest: Guest, at: Site) -> None:
    home, began = wire.server(guest.uuid)["host"], monotonic_s()
    playbook: list[str | Path] = [EXAMPLES / "migrate.yml", "-e", f"guest={guest.name}", "-e", f"destination={other(home)}"]
    done = run(ANSIBLE, at, "ansible-playbook", *playbook)
    assert (done.code, f"{guest.name} runs on {other(home)}." in done.out) == (0, True), done
    assert_moved(lab, wire, guest, newest(wire, guest), since=began)
