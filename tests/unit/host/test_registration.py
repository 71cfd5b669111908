from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from lmigrate.db.clock import ago
from lmigrate.db.models import Host
from lmigrate.db.session import reading, writing
from lmigrate.errors import HypervisorTimeout
from lmigrate.host.registration import HostNameTaken, HostUuidTaken
from tests.fakes.small_hypervisor import SmallHypervisor
from tests.unit.host.daemon_parts import host_record, node

pytestmark = pytest.mark.usefixtures("database")

HUNG = HypervisorTimeout(host="node5", call="getLibVersion", deadline_s="15")


def test_a_new_host_says_all_about_itself(tmp_path: Path) -> None:
    made = node("node5", tmp_path, migration_address="10.77.1.5", reserved_memory_mib=256)
    made.registration.begin()
    row = host_record("node5")
    assert (row.uuid, row.hypervisor_type, row.libvirt_version, row.qemu_version) == (
        made.hypervisor.host_facts.uuid, "QEMU", 9_000_000, 7_002_000,
    )  # fmt: skip
    assert (row.virt_types, row.vcpus, row.memory_mib, row.reserved_memory_mib) == (["kvm", "qemu"], 8, 4096, 256)
    assert row.cpu == {
        "arch": "x86_64", "model": "Skylake-Client", "vendor": "Intel", "features": ["vmx"], "usable_models": ["qemu64"], "xml": "<cpu/>",
    }  # fmt: skip
    assert (row.instances_path, row.migration_address) == (str(tmp_path), "10.77.1.5")
    assert 0 < row.disk_free_bytes <= row.disk_total_bytes
    assert not row.tls_ready
    assert "servercert.pem is missing" in (row.tls_reason or "")
    assert (row.enabled, row.libvirt_ok, row.down_reason, row.epoch) == (True, True, None, made.registration.epoch)


def test_a_restart_keeps_what_operators_set(tmp_path: Path) -> None:
    node("node5", tmp_path).registration.begin()
    before = host_record("node5")
    with writing() as session:
        session.get_one(Host, before.id).enabled = False
        session.get_one(Host, before.id).disabled_reason = "new disks"
    again = node("node5", tmp_path, SmallHypervisor(uuid=before.uuid, qemu_version=8_000_000))
    again.registration.begin()
    after = host_record("node5")
    assert (after.id, after.service_uuid, after.enabled, after.disabled_reason) == (before.id, before.service_uuid, False, "new disks")
    assert (after.qemu_version, after.epoch) == (8_000_000, again.registration.epoch)
    assert after.started_at > before.started_at


def test_another_live_host_of_that_name_is_refused(tmp_path: Path) -> None:
    first = node("node5", tmp_path)
    first.registration.begin()
    with pytest.raises(HostNameTaken, match=f"A host node5 with libvirt's host UUID {first.hypervisor.host_facts.uuid} is alive"):
        node("node5", tmp_path).registration.begin()
    assert host_record("node5").epoch == first.registration.epoch


def test_a_host_that_was_installed_anew_keeps_its_name(tmp_path: Path) -> None:
    node("node5", tmp_path).registration.begin()
    with writing() as session:
        session.query(Host).update({"last_seen_at": ago(61)})
    second = node("node5", tmp_path)
    second.registration.begin()
    assert host_record("node5").uuid == second.hypervisor.host_facts.uuid


def test_the_uuid_of_another_host_is_refused(tmp_path: Path) -> None:
    facts = SmallHypervisor()
    node("node5", tmp_path, facts).registration.begin()
    with pytest.raises(HostUuidTaken, match=f"libvirt's host UUID {facts.host_facts.uuid} is that of node5"):
        node("node6", tmp_path, facts).registration.begin()


def test_a_known_host_whose_libvirtd_hangs_is_taken_over_and_down(tmp_path: Path) -> None:
    first = node("node5", tmp_path)
    first.registration.begin()
    first.hypervisor.failure = HUNG
    again = node("node5", tmp_path, first.hypervisor)
    again.registration.begin()
    row = host_record("node5")
    assert (row.epoch, row.libvirt_ok, row.down_reason) == (again.registration.epoch, False, str(HUNG))


def test_an_unknown_host_whose_libvirtd_hangs_cannot_register(tmp_path: Path) -> None:
    made = node("node5", tmp_path)
    made.hypervisor.failure = HUNG
    with pytest.raises(HypervisorTimeout):
        made.registration.begin()
    with reading() as session:
        assert session.query(Host).count() == 0


def test_refresh_writes_what_has_changed(tmp_path: Path) -> None:
    made = node("node5", tmp_path)
    made.registration.begin()
    started_at = host_record("node5").started_at
    made.hypervisor.host_facts = replace(made.hypervisor.host_facts, memory_mib=8192)
    made.registration.refresh()
    assert (host_record("node5").memory_mib, host_record("node5").started_at) == (8192, started_at)


def test_refresh_of_an_older_daemon_changes_nothing(tmp_path: Path) -> None:
    old = node("node5", tmp_path)
    old.registration.begin()
    young = node("node5", tmp_path, old.hypervisor, reserved_memory_mib=7)
    young.registration.begin()
    old.registration.refresh()
    assert (host_record("node5").epoch, host_record("node5").reserved_memory_mib) == (young.registration.epoch, 7)


def test_the_operators_share_of_the_disk_is_not_free(tmp_path: Path) -> None:
    node("node5", tmp_path, reserved_disk_mib=10**9).registration.begin()
    assert host_record("node5").disk_free_bytes == 0
