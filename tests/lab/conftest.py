"""Fixtures for tests on real hosts: two labs for the whole session, and guests that the tests hand on to each other."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import libvirt
import pytest

from lmigrate.lab.guests.guest import Guest
from lmigrate.lab.guests.spec import DiskSpec, GuestSpec
from lmigrate.lab.guests.start import start_guest
from lmigrate.lab.topology import Lab
from tests.lab.labs import TICKS_HZ, Labs
from tests.lab.wire import Wire

StartGuest = Callable[..., Guest]
Restart = Callable[[dict[str, str]], None]
_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def labs(database_kind: str) -> Iterator[Labs]:
    libvirt.registerErrorHandler(lambda *_: None, None)  # it would print what it raises anyway
    made = Labs(database_kind)
    try:
        yield made
    finally:
        made.down()


@pytest.fixture
def lab_kind() -> str:
    """Which lab a module's tests run in; modules override it."""
    return "shared"


@pytest.fixture
def lab(labs: Labs, lab_kind: str) -> Iterator[Lab]:
    """The lab, without faults; whatever a test made fail is taken back afterwards."""
    found = labs.get(lab_kind)
    for host in found.hosts:  # a test that failed may have killed it
        found.start_daemon("libvirtd", host)
    yield found
    for point in found.faults_dir.iterdir():
        point.unlink(missing_ok=True)


@pytest.fixture
def wire(lab: Lab) -> Iterator[Wire]:
    made = Wire(lab)
    yield made
    made.http.close()


@pytest.fixture
def start(lab: Lab, wire: Wire) -> Iterator[StartGuest]:
    """Start a guest that the test has for itself: ``start("node5", disks=…)``."""
    with ExitStack() as guests:

        def begin(host: str = "node5", **options: Any) -> Guest:
            chosen: dict[str, Any] = {"name": f"t{next(_numbers)}", "memory_mib": 32, "rate_hz": TICKS_HZ, **options}
            guest = start_guest(lab, host, GuestSpec(**chosen))
            guests.enter_context(guest)
            wire.wait_found(guest.uuid, host, "paused" if guest.spec.paused else "active")
            return guest

        yield begin


@pytest.fixture
def restart(lab: Lab) -> Iterator[Restart]:
    """Kill node5's daemon and start it with other settings; at the end with those of the lab, and over mended links."""

    def begin_anew(settings: dict[str, str]) -> None:
        lab.host("node5").kill("host")
        assert lab.start_daemon("host", "node5", settings)

    yield begin_anew
    lab.join()
    begin_anew({})


class Wanderer:
    """The guest of a lab that tests move about; made anew when one has lost it."""

    def __init__(self) -> None:
        self._guests: dict[str, Guest] = {}

    def of(self, lab: Lab, wire: Wire) -> Guest:
        known = self._guests.get(lab.options.lab_id)
        if known is not None and _is_healthy(known, wire):
            return known
        disks = () if lab.options.instances == "shared" else (DiskSpec("qcow2", 4, fill_mib=1),)
        guest = start_guest(lab, "node5", GuestSpec(name=f"wanderer{next(_numbers)}", memory_mib=32, rate_hz=TICKS_HZ, disks=disks))
        self._guests[lab.options.lab_id] = guest
        wire.wait_found(guest.uuid, "node5")
        return guest


def _is_healthy(guest: Guest, wire: Wire) -> bool:
    seen = wire.server(guest.uuid)
    return (seen["vm_state"], seen["task_state"], guest.states()) == ("active", None, {seen["host"]: "running"})


@pytest.fixture(scope="session")
def wanderers() -> Wanderer:
    return Wanderer()


@pytest.fixture
def guest(lab: Lab, wire: Wire, wanderers: Wanderer) -> Guest:
    """A running, idle guest somewhere on node5 or node6, which other tests use too."""
    return wanderers.of(lab, wire)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A failed test shows the end of its lab's logs."""
    report = yield
    lab = getattr(item, "funcargs", {}).get("lab")
    if report.failed and isinstance(lab, Lab):
        for log in sorted(lab.paths.logs.glob("*.log")):
            if log.name.endswith(("-host.log", "conductor.log", "api.log")):
                report.sections.append((log.name, _told(log)))
    return report


def _told(log: Path) -> str:
    """The last lines that are ours; Celery prints a banner too."""
    lines = [line for line in log.read_text(errors="replace").splitlines() if line.startswith("20") or "Error" in line]
    return "\n".join(lines[-30:])
