"""The units of contrib/systemd: what they start, what they may, and that no secret is where others can read it."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

import click
import pytest

from lmigrate.cli.main import main

UNITS = sorted((Path(__file__).parents[2] / "contrib" / "systemd").glob("*.service"))
PROGRAM = "/opt/lmigrate/.venv/bin/lmigrate"
CENTRE = {"api", "beat", "conductor", "flower"}
EVERYWHERE = {
    **dict.fromkeys(("NoNewPrivileges", "PrivateTmp", "ProtectHome", "ProtectClock", "ProtectHostname", "LockPersonality"), "yes"),
    **dict.fromkeys(("ProtectKernelLogs", "ProtectKernelModules", "ProtectKernelTunables", "ProtectControlGroups"), "yes"),
    **dict.fromkeys(("RestrictNamespaces", "RestrictRealtime", "RestrictSUIDSGID"), "yes"),
    "ProtectSystem": "strict",
    "RestrictAddressFamilies": "AF_UNIX AF_INET AF_INET6",
    "SystemCallArchitectures": "native",
    "Restart": "always",
}
IN_THE_CENTRE = {
    "User": "lmigrate",
    "CapabilityBoundingSet": "",
    "PrivateDevices": "yes",
    "ProtectProc": "invisible",
    "SystemCallFilter": "@system-service",
    "UMask": "0077",
}


def service(unit: Path) -> dict[str, list[str]]:
    """The settings of a unit's [Service]."""
    found: dict[str, list[str]] = defaultdict(list)
    section = ""
    for line in unit.read_text().splitlines():
        if line.startswith("["):
            section = line
        elif section == "[Service]" and line and not line.startswith("#"):
            key, _, value = line.partition("=")
            found[key].append(value)
    return found


def daemon(unit: Path) -> str:
    return unit.stem.removeprefix("lmigrate-")


@pytest.mark.parametrize("unit", UNITS, ids=daemon)
def test_a_unit_starts_its_daemon_with_nothing_on_the_command_line(unit: Path) -> None:
    name = daemon(unit)
    assert service(unit)["ExecStart"] == [f"{PROGRAM} {name} run"]
    group = main.get_command(click.Context(main), name)
    assert isinstance(group, click.Group)
    assert "run" in group.commands


@pytest.mark.parametrize("unit", UNITS, ids=daemon)
def test_settings_come_from_files_that_are_not_everybodys(unit: Path) -> None:
    """Everybody may read a unit: `systemctl show` prints its Environment=."""
    found = service(unit)
    assert found["Environment"] == ["LMIGRATE_CONFIG=/etc/lmigrate/lmigrate.toml LMIGRATE_LOG__FORMAT=json"]
    assert found["EnvironmentFile"] == ["-/etc/lmigrate/lmigrate.env"]


@pytest.mark.parametrize("unit", UNITS, ids=daemon)
def test_a_unit_may_do_what_it_needs_and_no_more(unit: Path) -> None:
    found = service(unit)
    wanted = EVERYWHERE | (IN_THE_CENTRE if daemon(unit) in CENTRE else {})
    assert {key: found[key] for key in wanted} == {key: [value] for key, value in wanted.items()}


def test_there_is_a_unit_for_every_daemon() -> None:
    context = click.Context(main)
    groups = [main.get_command(context, name) for name in main.list_commands(context)]
    daemons = {group.name for group in groups if isinstance(group, click.Group) and "run" in group.commands}
    assert {daemon(unit) for unit in UNITS} == daemons
