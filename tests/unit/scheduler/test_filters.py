from __future__ import annotations

import pytest

from lmigrate.scheduler.filters.cpu import cpu
from lmigrate.scheduler.filters.disk import disk
from lmigrate.scheduler.filters.enabled import enabled
from lmigrate.scheduler.filters.hypervisor_type import hypervisor_type
from lmigrate.scheduler.filters.hypervisor_version import hypervisor_version
from lmigrate.scheduler.filters.not_excluded import not_excluded
from lmigrate.scheduler.filters.not_source import not_source
from lmigrate.scheduler.filters.protocols import protocols
from lmigrate.scheduler.filters.ram import ram
from lmigrate.scheduler.filters.up import up
from lmigrate.scheduler.request import RequestSpec
from tests.unit.scheduler.states import UUID, host_state, spec


def test_not_source() -> None:
    assert not_source(host_state("node6"), spec()) is None
    assert not_source(host_state("node5"), spec()) == f"Unable to migrate instance ({UUID}) to current host (node5)."


def test_protocols() -> None:
    needs_both = spec(protocols=frozenset({"iscsi", "rbd"}))
    assert protocols(host_state("node6"), needs_both) is None  # an older daemon does not tell
    assert protocols(host_state("node6", protocols=frozenset({"iscsi", "nbd", "rbd"})), needs_both) is None
    assert protocols(host_state("node6", protocols=frozenset()), spec()) is None
    reason = protocols(host_state("node6", protocols=frozenset({"iscsi"})), needs_both)
    assert reason == "its QEMU has no block driver for rbd, which the guest's disks need (Debian: qemu-block-extra)"


def test_not_excluded_tells_the_reason_of_the_refusal() -> None:
    request = spec(excluded={"node7": "its instances path is full"})
    assert not_excluded(host_state("node6"), request) is None
    assert not_excluded(host_state("node7"), request) == "its instances path is full"


def test_up() -> None:
    assert up(host_state("node6"), spec()) is None
    reason = up(host_state("node6", down_reason="its daemon was last heard of 70 s ago"), spec())
    assert reason == "Compute service of node6 is unavailable at this time: its daemon was last heard of 70 s ago"


def test_enabled() -> None:
    assert enabled(host_state("node6"), spec()) is None
    assert enabled(host_state("node6", is_enabled=False), spec()) == "it is disabled"
    assert enabled(host_state("node6", is_enabled=False, disabled_reason="new disks"), spec()) == "it is disabled: new disks"


@pytest.mark.parametrize(
    ("source", "reason"), [("QEMU", None), ("Xen", "The hypervisor of node6 is of type QEMU, the source's is Xen."), (None, None)]
)
def test_hypervisor_type(source: str | None, reason: str | None) -> None:
    assert hypervisor_type(host_state("node6"), spec(hypervisor_type=source)) == reason


@pytest.mark.parametrize(("source", "is_refused"), [(7_002_000, False), (7_001_999, False), (8_000_000, True), (None, False)])
def test_hypervisor_version_may_be_equal_or_newer(source: int | None, is_refused: bool) -> None:
    assert (hypervisor_version(host_state("node6", qemu_version=7_002_000), spec(qemu_version=source)) is not None) == is_refused


def test_hypervisor_version_names_both() -> None:
    reason = hypervisor_version(host_state("node6", qemu_version=7_002_011), spec(qemu_version=8_001_002))
    assert reason == "The instance requires a newer hypervisor version than node6 provides (7.2.11 < 8.1.2)."


@pytest.mark.parametrize(
    ("reserved", "used", "ratio", "needed", "is_refused"),
    [
        (0, 0, 1.0, 4095, False),
        (0, 0, 1.0, 4096, True),  # Nova refuses available <= needed
        (512, 0, 1.0, 3583, False),
        (512, 0, 1.0, 3584, True),
        (0, 3072, 1.0, 1024, True),
        (0, 3072, 1.5, 1024, False),  # over-commit
        (0, 8192, 1.0, 1, True),
    ],
)
def test_ram_of_4_gib(reserved: int, used: int, ratio: float, needed: int, is_refused: bool) -> None:
    host = host_state("node6", memory_mib=4096, reserved_memory_mib=reserved, used_memory_mib=used, ram_allocation_ratio=ratio)
    assert (ram(host, spec(memory_mib=needed)) is not None) == is_refused


def test_ram_speaks_as_nova() -> None:
    reason = ram(host_state("node6", memory_mib=512), spec(memory_mib=1024))
    assert reason == f"Unable to migrate {UUID} to node6: Lack of memory(host:512 <= instance:1024)"


def _kvm() -> RequestSpec:
    return spec(virt_type="kvm", arch="x86_64")


def test_cpu_wants_the_guests_virt_type() -> None:
    host = host_state("node6", virt_types=("qemu",))
    assert cpu(host, _kvm()) == "it offers qemu, the guest is of type kvm"
    assert cpu(host, spec(virt_type="qemu")) is None


def test_cpu_wants_the_same_architecture() -> None:
    assert cpu(host_state("node6", arch="aarch64"), _kvm()) == "its architecture is aarch64, the source's is x86_64"


@pytest.mark.parametrize(
    ("free", "reserved", "need", "is_refused"), [(10, 0, 10, False), (10, 1, 10, True), (0, 0, 0, False), (5, 10, 0, False)]
)
def test_disk(free: int, reserved: int, need: int, is_refused: bool) -> None:
    host = host_state("node6", disk_free_bytes=free, reserved_disk_bytes=reserved)
    assert (disk(host, spec(disk_bytes=need)) is not None) == is_refused
