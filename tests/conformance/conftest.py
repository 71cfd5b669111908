import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from tests.ceph_cluster import CephCluster, run_here
from tests.conformance.pair import FakePair, LibvirtPair, Pair, RealHosts
from tests.conformance.storage_cases import ADDRESS, free_port


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[Pair]:
    """The fake; on a host of a lab (`tests/lab/test_conformance.py`) the real one."""
    hosts = RealHosts.from_environment()
    made = FakePair() if hosts is None else LibvirtPair(hosts, tmp_path)
    yield made
    made.remove_guests()


@pytest.fixture(scope="session")
def ceph_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CephCluster]:
    """A real one on loopback; its daemons die with the test run."""
    top, running = tmp_path_factory.mktemp("ceph"), []

    def start(name: str, argv: Sequence[str]) -> None:
        with (top / f"{name}.out").open("ab") as output:
            running.append(subprocess.Popen(["setpriv", "--pdeathsig=KILL", *argv], stdout=output, stderr=output))

    try:
        made = CephCluster(top, ADDRESS, free_port(), run_here, start)
        made.up()
        yield made
    finally:
        for process in running:
            process.kill()
            process.wait()
