"""A lab of its own for volumes: its tests end tgtd and the storage daemon, which no other test should notice."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest

from lmigrate.lab.guests.spec import DiskSpec
from lmigrate.lab.options import LabOptions
from lmigrate.lab.topology import Lab
from tests.lab.conftest import StartGuest
from tests.lab.labs import Labs
from tests.lab.volumes.carrier import Carrier, start_carrier
from tests.lab.wire import Wire

LOCAL = DiskSpec("raw", 4, fill_mib=1)
StartCarrier = Callable[..., Carrier]


class VolumeLabs(Labs):
    """One private lab, with volumes."""

    def _options(self, kind: str) -> LabOptions:
        del kind
        options = super()._options("private")
        # leases are short here: many a worker dies
        env = {**options.env, "LMIGRATE_MIGRATION__LEASE_S": "3", "LMIGRATE_CONDUCTOR__RESEND_AFTER_S": "2"}
        return replace(options, lab_id=f"vol-{secrets.token_hex(3)}", env=env)


@pytest.fixture(scope="session")
def labs(database_kind: str) -> Iterator[Labs]:
    made = VolumeLabs(database_kind)
    try:
        yield made
    finally:
        made.down()


@pytest.fixture
def lab_kind() -> str:
    return "volumes"


@pytest.fixture
def lab(labs: Labs, lab_kind: str) -> Iterator[Lab]:
    found = labs.get(lab_kind)
    yield found
    for point in found.faults_dir.iterdir():
        point.unlink(missing_ok=True)
    found.start_daemon("tgtd")
    found.start_daemon("storage")


@pytest.fixture
def carry(lab: Lab, wire: Wire, start: StartGuest) -> StartCarrier:
    """Start a guest with volumes that the test has for itself: ``carry(3, disks=…)``."""

    def begin(volumes: int = 3, **options: object) -> Carrier:
        return start_carrier(lab, wire, start, volumes, **options)

    return begin


@pytest.fixture(scope="session")
def known_carriers() -> dict[str, Carrier]:
    return {}


@pytest.fixture
def carrier(lab: Lab, wire: Wire, known_carriers: dict[str, Carrier]) -> Carrier:
    """A running, idle guest with three volumes and a local disk, which other tests use too."""
    known = known_carriers.get("it")
    if known is None or not known.is_healthy(wire):
        known = known_carriers["it"] = start_carrier(lab, wire, None, 3, disks=(LOCAL,))
    return known
