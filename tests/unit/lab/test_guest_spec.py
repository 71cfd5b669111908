from __future__ import annotations

from typing import Any

import pytest

from lmigrate.lab.errors import WrongOption
from lmigrate.lab.guests import start
from lmigrate.lab.guests.linux_image import command_line
from lmigrate.lab.guests.spec import DiskSpec, GuestSpec


@pytest.mark.parametrize(
    ("text", "disk"),
    [
        ("raw:8", DiskSpec("raw", 8)),
        ("qcow2:64:8", DiskSpec("qcow2", 64, fill_mib=8)),
        ("qcow2:64:0:base.img", DiskSpec("qcow2", 64, backing="base.img")),
    ],
)
def test_a_disk_as_on_the_command_line(text: str, disk: DiskSpec) -> None:
    assert DiskSpec.parse(text) == disk


@pytest.mark.parametrize("text", ["", "raw", "raw:", "vmdk:8", "raw:x", "raw:8:", "raw:8:9", "raw:8:0:base.img", "qcow2:8:0:a:b", "raw:0"])
def test_what_is_no_disk_is_refused(text: str) -> None:
    with pytest.raises(WrongOption):
        DiskSpec.parse(text)


@pytest.mark.parametrize(
    "wrong",
    [
        {"name": ""},
        {"name": "a b"},
        {"name": "../x"},
        {"memory_mib": 16, "fill_mib": 16},
        {"firmware": "bios"},
        {"firmware": "bios", "disks": (DiskSpec("qcow2", 8, backing="base"),)},
        {"kind": "linux", "memory_mib": 64},
        {"kind": "linux", "memory_mib": 192, "dirty_mib": 128},
    ],
)
def test_impossible_guests_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(WrongOption):
        GuestSpec(**wrong)


def test_every_guest_is_another_one() -> None:
    assert GuestSpec().uuid != GuestSpec().uuid


def test_a_specification_survives_its_record() -> None:
    spec = GuestSpec(name="a", disks=(DiskSpec(), DiskSpec("qcow2", 4, backing="b")), cpu="<cpu/>", paused=True)
    assert GuestSpec.from_json(spec.to_json()) == spec


def test_the_kernel_hands_the_parameters_to_the_workload() -> None:
    spec = GuestSpec(kind="linux", memory_mib=256, rate_hz=20, dirty_mib=16, dirty_mib_per_s=2.5, fill_mib=8, poweroff_at=1_000_000)
    assert command_line(spec).split(" -- ")[1] == "20 16 2.5 8 1000000"


@pytest.mark.parametrize(
    ("options", "hardware", "accel"),
    [
        ({}, True, "kvm"),
        ({}, False, "kvm"),
        ({"dirty_mib": 8}, True, "kvm"),
        ({"dirty_mib": 8}, False, "tcg"),
        ({"dirty_mib": 8, "accel": "kvm"}, False, "kvm"),
        ({"accel": "tcg"}, True, "tcg"),
        ({"kind": "linux", "memory_mib": 192}, False, "tcg"),
    ],
)
def test_a_guest_that_works_gets_no_interpreting_kvm(
    options: dict[str, Any], hardware: bool, accel: str, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(start, "_HARDWARE_KVM", (tmp_path if hardware else tmp_path / "none",))
    assert start.accel_for(GuestSpec(**options), "kvm") == accel


def test_without_kvm_all_is_tcg() -> None:
    assert start.accel_for(GuestSpec(), "tcg") == "tcg"
