"""A lab with more backends than its tgtd, each with a storage daemon where its storage is."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from lmigrate.lab import network
from lmigrate.lab.certificates import CertificateAuthority, install
from lmigrate.lab.options import LabOptions
from lmigrate.lab.paths import INSTANCES_PATH, lab_root
from lmigrate.lab.services import lmigrate_command
from lmigrate.lab.topology import Lab, remove
from tests.ceph_cluster import POOL, USER, CephCluster
from tests.lab.labs import SETTINGS

MONITOR_PORT = 6789


@pytest.fixture(scope="module")
def backends_lab(database_kind: str) -> Iterator[Lab]:
    lab_id = f"vol-{secrets.token_hex(3)}"
    top, address = lab_root() / lab_id, network.ctl_address(lab_id)
    backends = {
        "san1": {"driver": "iscsi-tgt", "portal": f"{address}:3260", "directory": str(top / "volumes")},
        "nbd1": {"driver": "nbd", "address": address, "directory": str(top / "nbd"), "pki_dir": str(top / "nbd-pki/qemu")},
        "nfs1": {"driver": "shared-directory", "directory": str(top / "nfs"), "format": "qcow2"},
        "disk1": {"driver": "local", "directory": str(INSTANCES_PATH)},
        "rbd1": {
            "driver": "rbd",
            "pool": POOL,
            "monitors": [f"{address}:{MONITOR_PORT}"],
            "user": USER,
            "conf": str(top / "ceph/ceph.conf"),
        },
        "nfs2": {"driver": "shared-directory", "directory": str(INSTANCES_PATH)},  # which the hosts of this lab do not share
    }
    env = SETTINGS | {"LMIGRATE_STORAGE__BACKENDS": json.dumps(backends)}
    try:
        lab = Lab.up(LabOptions(lab_id=lab_id, instances="private", database=database_kind, env=env))
        for directory in ("nbd", "nfs"):
            (top / directory).mkdir()
        ceph_of(lab, top / "ceph", address).up()
        install(top / "nbd-pki", CertificateAuthority.load_or_make(lab.paths.certificates, lab_id), "ctl", address)
        for name, node in {
            "nbd1": lab.ctl,
            "nfs1": lab.ctl,
            "rbd1": lab.ctl,
            "disk1": lab.host("node5"),
            "nfs2": lab.host("node5"),
        }.items():
            node.start_daemon(f"storage-{name}", lmigrate_command("storage", "run"), {"LMIGRATE_STORAGE__SERVES": name})
        yield lab
    finally:
        remove(lab_id)


def ceph_of(lab: Lab, top: Path, address: str) -> CephCluster:
    """A cluster beside the lab's other storage."""
    run = partial(lab.ctl.run, check=True, timeout_s=120.0)
    return CephCluster(top, address, MONITOR_PORT, run, lab.ctl.start_daemon)


@pytest.fixture
def lab(backends_lab: Lab) -> Lab:
    return backends_lab
