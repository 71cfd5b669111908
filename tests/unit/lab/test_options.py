from __future__ import annotations

import pytest

from lmigrate.lab.errors import WrongOption
from lmigrate.lab.options import LabOptions


def test_options_survive_the_state_file() -> None:
    options = LabOptions(
        lab_id="x", hosts=("a", "b", "c"), instances="private", memory_mib={"b": 2048}, env={"LMIGRATE_LOG__LEVEL": "debug"}
    )
    assert LabOptions.from_json(options.to_json()) == options


def test_unknown_keys_of_a_newer_state_file_are_passed_over() -> None:
    assert LabOptions.from_json(LabOptions().to_json() | {"colour": "green"}) == LabOptions()


@pytest.mark.parametrize("lab_id", ["", "-a", "a-", "A", "a/b", "..", "x" * 21, "a b"])
def test_bad_ids_are_refused(lab_id: str) -> None:
    with pytest.raises(WrongOption, match="cannot be a lab's id"):
        LabOptions(lab_id=lab_id)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"hosts": ()}, "1 to 64 hosts"),
        ({"hosts": ("a", "a")}, "same name"),
        ({"hosts": ("ctl",)}, "cannot be the name"),
        ({"hosts": ("Node5",)}, "cannot be the name"),
        ({"instances": "both"}, "shared, private"),
        ({"database": "mysql"}, "sqlite, postgresql"),
        ({"accel": "xen"}, "auto, kvm, tcg"),
        ({"memory_mib": {"node9": 1}}, "no host of the lab"),
    ],
)
def test_what_cannot_be_is_refused_with_a_reason(given: dict[str, object], message: str) -> None:
    with pytest.raises(WrongOption, match=message):
        LabOptions(**given)  # type: ignore[arg-type]


def test_difference_names_what_differs_but_not_the_daemons() -> None:
    assert LabOptions().difference(LabOptions(daemons=False)) == ""
    assert LabOptions().difference(LabOptions(tls=False)) == "tls: True not False"
