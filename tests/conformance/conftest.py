from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conformance.pair import FakePair, LibvirtPair, Pair, RealHosts


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[Pair]:
    """The fake; on a host of a lab (`tests/lab/test_conformance.py`) the real one."""
    hosts = RealHosts.from_environment()
    made = FakePair() if hosts is None else LibvirtPair(hosts, tmp_path)
    yield made
    made.remove_guests()
