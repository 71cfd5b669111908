from __future__ import annotations

import stat
from dataclasses import fields
from pathlib import Path

import pytest

from lmigrate.lab import accel, services
from lmigrate.lab.errors import LabError, NoSuchLab
from lmigrate.lab.options import LabOptions
from lmigrate.lab.paths import LabPaths
from lmigrate.lab.state import LabState


@pytest.fixture
def paths(tmp_path: Path) -> LabPaths:
    (tmp_path / "lab").mkdir()
    return LabPaths(tmp_path / "lab")


@pytest.fixture
def state() -> LabState:
    return LabState.make(LabOptions(accel="tcg", memory_mib={"node6": 1}))


def test_the_state_is_read_back_and_is_for_its_owner_only(paths: LabPaths, state: LabState) -> None:
    state.save(paths)
    assert LabState.load(paths) == state
    assert stat.S_IMODE(paths.state.stat().st_mode) == 0o600


def test_a_lab_without_a_state_is_none(paths: LabPaths) -> None:
    with pytest.raises(NoSuchLab, match="lab up --id lab"):
        LabState.load(paths)


def test_two_labs_share_no_password(state: LabState) -> None:
    other = LabState.make(LabOptions(accel="tcg"))
    names = [field.name for field in fields(state) if field.name.endswith("password")]
    assert len(names) == 3
    assert not {getattr(state, name) for name in names} & {getattr(other, name) for name in names}


def test_each_node_gets_its_own_settings(paths: LabPaths, state: LabState) -> None:
    host = services.environment(paths, state, "node5")
    assert host["LMIGRATE_HOST__NAME"] == "node5"
    assert host["LMIGRATE_BROKER__URL"].startswith(f"redis://:{state.redis_password}@{state.addresses['ctl']}")
    front = services.environment(paths, state, services.FRONT)
    assert "LMIGRATE_HOST__NAME" not in front
    assert front["LMIGRATE_BROKER__URL"].endswith(f"@{paths.redis_socket}")


def test_a_host_that_shall_look_small_holds_the_rest_back(paths: LabPaths, state: LabState) -> None:
    total_mib = int(Path("/proc/meminfo").read_text().split()[1]) // 1024
    assert services.environment(paths, state, "node6")["LMIGRATE_HOST__RESERVED_MEMORY_MIB"] == str(total_mib - 1)
    assert services.environment(paths, state, "node5")["LMIGRATE_HOST__RESERVED_MEMORY_MIB"] == "0"


def test_options_env_wins(paths: LabPaths) -> None:
    state = LabState.make(LabOptions(accel="tcg", env={"LMIGRATE_MIGRATION__TLS": "false"}))
    assert services.environment(paths, state, "node5")["LMIGRATE_MIGRATION__TLS"] == "false"


def test_without_a_device_auto_falls_back_and_kvm_is_an_error(tmp_path: Path) -> None:
    chosen = accel.choose("auto", str(tmp_path / "kvm"))
    assert chosen.name == "tcg"
    assert "does not work" in chosen.reason
    with pytest.raises(OSError, match="kvm"):
        accel.choose("kvm", str(tmp_path / "kvm"))


def test_a_device_that_is_no_kvm_is_found_out() -> None:
    assert accel.choose("auto", "/dev/null").name == "tcg"


def test_a_lab_root_too_deep_for_sockets_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LMIGRATE_LAB_ROOT", "/" + "x" * 80)
    with pytest.raises(LabError, match="too long"):
        LabPaths.of("lab")
