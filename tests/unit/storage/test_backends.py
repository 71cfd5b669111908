"""Backends in the settings: a section for each driver, and clear words about a wrong one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from lmigrate.config import HostSettings, StorageSettings
from lmigrate.errors import StorageError
from lmigrate.ids import endpoint, is_iscsi_name, new_uuid
from lmigrate.storage.drivers.registry import DRIVERS, driver_of

SECTIONS: dict[str, dict[str, Any]] = {
    "iscsi-tgt": {"portal": "10.0.0.2", "directory": "/srv/volumes"},
    "shared-directory": {"directory": "/srv/volumes"},
    "local": {"directory": "/var/lib/lmigrate/volumes"},
    "nbd": {"address": "10.0.0.2", "directory": "/srv/volumes"},
    "rbd": {"pool": "vms", "monitors": ["10.0.0.11:6789"]},
    "cinder": {"auth": {"auth_url": "https://keystone.example/v3", "username": "lmigrate", "password": "S3CR3T"}},
}


def test_every_driver_has_a_section_here() -> None:
    assert set(SECTIONS) == set(DRIVERS)


@pytest.mark.parametrize("name", SECTIONS)
def test_the_driver_is_made_from_its_section(name: str) -> None:
    settings = StorageSettings.model_validate({"backends": {"store1": {"driver": name, **SECTIONS[name]}}})
    driver: object = driver_of("store1", settings)
    assert driver.__class__ is DRIVERS[name]


def test_an_unknown_driver_is_told_with_those_that_there_are() -> None:
    with pytest.raises(ValidationError, match=r"'sheepdog'.*'iscsi-tgt', 'shared-directory', 'local', 'nbd', 'rbd', 'cinder'"):
        StorageSettings.model_validate({"backends": {"store1": {"driver": "sheepdog"}}})


def test_an_option_of_another_driver_is_an_error() -> None:
    with pytest.raises(ValidationError, match="Extra inputs are not permitted"):
        StorageSettings.model_validate({"backends": {"store1": {"driver": "local", "directory": "/x", "pool": "vms"}}})


def test_an_unknown_backend_is_told() -> None:
    with pytest.raises(StorageError, match="Storage backend store2: there is no such backend in the settings"):
        driver_of("store2", StorageSettings())


def test_passwords_of_backends_are_not_shown() -> None:
    settings = StorageSettings.model_validate({"backends": {"store1": {"driver": "cinder", **SECTIONS["cinder"]}}})
    assert "S3CR3T" not in f"{settings!r}{settings.model_dump_json()}"


@pytest.mark.parametrize("driver", ["local", "shared-directory"])
def test_only_files_below_the_directory_are_volumes(driver: str, tmp_path: Path) -> None:
    (tmp_path / "volumes").mkdir()
    (tmp_path / "secret").write_text("x")
    settings = StorageSettings.model_validate({"backends": {"store1": {"driver": driver, "directory": str(tmp_path / "volumes")}}})
    found: Any = driver_of("store1", settings)
    for path in ("/etc/passwd", f"{tmp_path}/volumes/../secret", f"{tmp_path}/secret"):
        with pytest.raises(StorageError, match="does not lie below"):
            found.locate(path)


REFUSED: list[tuple[str, dict[str, Any]]] = [
    ("iscsi-tgt", {"portal": "10.0.0.2,target=other"}),
    ("iscsi-tgt", {"portal": "10.0.0.2:70000"}),
    ("iscsi-tgt", {"portal": "san\n"}),
    ("iscsi-tgt", {"portal": "[fd00::1:3260"}),
    ("iscsi-tgt", {"iqn_prefix": "iqn.2026-11.org,lun=0"}),
    ("iscsi-tgt", {"iqn_prefix": "eui.02004567A425678D"}),
    ("iscsi-tgt", {"iqn_prefix": "naa.52004567BA64678D"}),
    ("iscsi-tgt", {"iqn_prefix": f"iqn.2026-11.org:{'x' * 171}"}),  # 187 characters
    ("iscsi-tgt", {"directory": "volumes"}),
    ("local", {"directory": "/srv/a\nb"}),
    ("nbd", {"address": "10.0.0.2/?command=x"}),
    ("nbd", {"client_subject": "CN={host.__class__}"}),
    ("nbd", {"client_subject": "CN={other}"}),
    ("nbd", {"client_subject": "CN=x\ny"}),
    ("rbd", {"pool": "vms, allow *"}),
    ("rbd", {"user": "--help"}),
    ("rbd", {"monitors": ["10.0.0.11:x"]}),
    ("cinder", {"endpoint": "file:///etc/passwd"}),
    ("cinder", {"source_name": "iqn.x:{id.__class__}"}),
    ("cinder", {"source_name": "a,b"}),
]


@pytest.mark.parametrize(("name", "wrong"), REFUSED, ids=str)
def test_what_would_mean_something_else_in_a_uri_an_xml_or_a_command_is_refused(name: str, wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match=next(iter(wrong))):
        StorageSettings.model_validate({"backends": {"store1": {"driver": name, **SECTIONS[name], **wrong}}})


def test_a_targets_name_has_room_for_the_longest_prefix() -> None:
    prefix = f"iqn.2026-11.org:{'x' * 170}"
    section = {"driver": "iscsi-tgt", **SECTIONS["iscsi-tgt"], "iqn_prefix": prefix}
    StorageSettings.model_validate({"backends": {"store1": section}})
    assert is_iscsi_name(f"{prefix}:{new_uuid()}")
    assert not is_iscsi_name(f"{prefix}x:{new_uuid()}")


def test_ports_in_the_wrong_order_are_both_named() -> None:
    section = {"driver": "nbd", **SECTIONS["nbd"], "first_port": 12000}
    with pytest.raises(ValidationError, match=r"first_port 12000 is above last_port 11809"):
        StorageSettings.model_validate({"backends": {"store1": section}})
    StorageSettings.model_validate({"backends": {"store1": {**section, "last_port": 12000}}})


@pytest.mark.parametrize("name", ["a b", "a/b", "-a", "", "a\n", "x" * 64])
def test_a_backends_name_is_a_word(name: str) -> None:
    with pytest.raises(ValidationError, match="backends"):
        StorageSettings.model_validate({"backends": {name: {"driver": "local", **SECTIONS["local"]}}})


@pytest.mark.parametrize("name", ["iqn.2026-11.org,driver=file", "node5", "iqn.2026-11.org:a b", "iqn.2026-11.org:'/><x", ""])
def test_an_initiators_name_is_one_of_iscsi(name: str) -> None:
    with pytest.raises(ValidationError, match="iSCSI name"):
        HostSettings(initiator_iqn=name)


ENDPOINTS = [
    ("san", "san", 3260),
    ("10.0.0.2:1", "10.0.0.2", 1),
    ("[fd00::1]:3", "fd00::1", 3),
    ("[fd00::1]", "fd00::1", 3260),
    ("fd00::1", "fd00::1", 3260),
]


@pytest.mark.parametrize(("text", "host", "port"), ENDPOINTS)
def test_a_portal_has_a_port_if_it_says_so(text: str, host: str, port: int) -> None:
    assert endpoint(text, 3260) == (host, port)
