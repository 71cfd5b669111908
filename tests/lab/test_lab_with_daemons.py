"""The lab with lmigrate's own daemons in it."""

from __future__ import annotations

import json
import secrets
import urllib.error
import urllib.request
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import pytest

from lmigrate.clock import monotonic_s, utcnow
from lmigrate.lab import services, status
from lmigrate.lab.guests.spec import GuestSpec
from lmigrate.lab.guests.start import start_guest
from lmigrate.lab.options import LabOptions
from lmigrate.lab.topology import Lab
from lmigrate.lab.wait import wait_for
from tests.lab.labs import TICKS_HZ
from tests.lab.moves import assert_moved
from tests.lab.wire import Wire

pytestmark = [pytest.mark.lab, pytest.mark.one_database]

SMALL_MIB = 300
TLS_PORT, TCP_PORT = 16514, 16509  # libvirt's own
DAEMONS = {"redis", "tgtd", "conductor", "beat", "storage", "api", "flower", "libvirtd", "host"}


@pytest.fixture(scope="module", params=["sqlite", "postgresql, plain TCP"])
def lab(request: pytest.FixtureRequest) -> Iterator[Lab]:
    database, _, plain = request.param.partition(", ")
    options = LabOptions(lab_id=f"t-{secrets.token_hex(3)}", database=database, tls=not plain, memory_mib={"node6": SMALL_MIB})
    with Lab.throwaway(options) as up:
        yield up


def get(lab: Lab, path: str) -> Any:
    with urllib.request.urlopen(lab.url + path, timeout=10) as answer:
        return json.load(answer)


def hosts(lab: Lab) -> dict[str, dict[str, Any]]:
    return {host["name"]: host for host in get(lab, "/v1/hosts")["hosts"]}


def last_seen(lab: Lab, host: str) -> datetime:
    return datetime.fromisoformat(hosts(lab)[host]["last_seen_at"])


def test_every_daemon_runs_and_every_host_has_registered(lab: Lab) -> None:
    running = {name for node in status.of_lab(lab).nodes for name, state in node.daemons.items() if state == "running"}
    assert running - {"postgresql"} == DAEMONS
    assert ("postgresql" in running) is (lab.options.database == "postgresql")
    assert {name: host["state"] for name, host in hosts(lab).items()} == {"node5": "up", "node6": "up"}
    assert get(lab, "/readyz")["status"] == "ok"


def test_a_host_admits_to_as_much_memory_as_it_was_given(lab: Lab) -> None:
    small = hosts(lab)["node6"]
    assert small["memory_mib"] - small["reserved_memory_mib"] == pytest.approx(SMALL_MIB, abs=1)


def test_flower_asks_for_the_password(lab: Lab) -> None:
    with pytest.raises(urllib.error.HTTPError, match="401"):
        urllib.request.urlopen(lab.flower_url, timeout=10)


def test_the_command_line_on_the_machine_finds_the_lab(lab: Lab) -> None:
    listed = lab.front.run(services.lmigrate_command("host", "list", "-o", "json"), check=True)
    assert {"node5", "node6"} <= set(listed.stdout.replace('"', " ").split())


@pytest.fixture
def wire(lab: Lab) -> Iterator[Wire]:
    made = Wire(lab)
    yield made
    made.http.close()


def test_a_guest_moves_over_what_the_lab_speaks(lab: Lab, wire: Wire) -> None:
    """In the lab without TLS no libvirtd listens for it and no QEMU has a certificate: what arrives there went in the clear."""
    listens = lab.host("node6").run(["ss", "--listening", "--tcp", "--numeric", "--no-header"], check=True).stdout
    assert [f":{port} " in listens for port in (TLS_PORT, TCP_PORT)] == [lab.options.tls, not lab.options.tls]
    with start_guest(lab, "node5", GuestSpec(name="moved1", memory_mib=32, rate_hz=TICKS_HZ)) as guest:
        wire.wait_found(guest.uuid, "node5")
        began = monotonic_s()
        assert_moved(lab, wire, guest, wire.move(guest.uuid, "node6"), since=began)


def test_up_again_replaces_a_dead_daemon_and_waits_for_its_own_heartbeat(lab: Lab) -> None:
    conductor = lab.pid_of("conductor")
    for name in ("libvirtd", "host"):
        lab.host("node5").kill(name)
    lab.kill("api")
    began = utcnow()
    Lab.up(lab.options)
    assert last_seen(lab, "node5") >= began
    assert lab.pid_of("conductor") == conductor


def test_a_host_that_was_powered_off_registers_again(lab: Lab) -> None:
    lab.power_off("node6")
    began = utcnow()
    lab.power_on("node6")
    wait_for("its heartbeat", lambda: last_seen(lab, "node6") >= began, deadline_s=60, poll_s=0.2)
