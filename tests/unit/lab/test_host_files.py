from __future__ import annotations

from pathlib import Path

import pytest

from lmigrate.lab import host_files
from lmigrate.lab.paths import LabPaths


@pytest.fixture
def paths(tmp_path: Path) -> LabPaths:
    return LabPaths(tmp_path / "lab")


def test_every_host_resolves_its_own_and_all_other_names(paths: LabPaths) -> None:
    host_files.write_etc(paths, "node5", {"ctl": "10.77.1.1", "node5": "10.77.1.11", "node6": "10.77.1.12"})
    etc = paths.node("node5") / "etc"
    assert (etc / "hosts").read_text().splitlines()[1:] == ["10.77.1.1 ctl", "10.77.1.11 node5", "10.77.1.12 node6"]
    assert "hosts: files\n" in (etc / "nsswitch.conf").read_text()
    assert (etc / "resolv.conf").read_text() == ""


@pytest.mark.parametrize("tls", [True, False])
def test_libvirtd_listens_with_tls_or_without(paths: LabPaths, *, tls: bool) -> None:
    (paths.node("node5") / "etc").mkdir(parents=True)
    host_files.write_libvirt(paths, "lab", "node5", tls=tls)
    conf = (paths.node("node5") / "libvirt/etc/libvirtd.conf").read_text()
    assert f"listen_tls = {int(tls)}\nlisten_tcp = {int(not tls)}\n" in conf
    assert ("default_tls_x509_verify = 1" in (paths.node("node5") / "libvirt/etc/qemu.conf").read_text()) is tls


def test_users_that_the_qemu_driver_wants_are_there_once(paths: LabPaths) -> None:
    (paths.node("node5") / "etc").mkdir(parents=True)
    for _ in range(2):
        host_files.write_libvirt(paths, "lab", "node5", tls=True)
    own = paths.node("node5") / "etc/passwd"
    passwd = (own if own.exists() else Path("/etc/passwd")).read_text()
    assert passwd.count("\nlibvirt-qemu:") == 1


def test_uuids_differ_by_lab_and_by_host() -> None:
    assert len({host_files.host_uuid(lab, host) for lab in ("a", "b") for host in ("node5", "node6")}) == 4


def test_private_instances_are_one_directory_each_and_shared_ones_the_same(paths: LabPaths) -> None:
    assert paths.instances("node5", "shared") == paths.instances("node6", "shared")
    assert paths.instances("node5", "private") != paths.instances("node6", "private")


def test_a_lab_without_kvm_hides_the_device(paths: LabPaths) -> None:
    targets = [mount["target"] for mount in host_files.host_mounts(paths, "node5", instances="shared", kvm=False)]
    assert ("/dev/kvm" in targets) is Path("/dev/kvm").exists()
