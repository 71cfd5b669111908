"""Every process kind can be started by honcho and by systemd, and by the same command."""

import configparser
from pathlib import Path

INSTALLED = "/opt/lmigrate/.venv/bin/"


def test_procfile_and_units_start_the_same(repository: Path) -> None:
    procfile = dict(line.split(": ", 1) for line in (repository / "Procfile").read_text().splitlines())
    units = {}
    for path in (repository / "contrib" / "systemd").glob("lmigrate-*.service"):
        unit = configparser.RawConfigParser(strict=False)
        unit.optionxform = str  # type: ignore[assignment,method-assign] # systemd's names are case-sensitive
        unit.read(path)
        units[path.stem.removeprefix("lmigrate-")] = unit["Service"]["ExecStart"].removeprefix(INSTALLED)
    assert all(command == f"lmigrate {kind} run" for kind, command in units.items())
    # at a terminal a password can be drawn and read
    assert procfile == units | {"flower": f"{units['flower']} --draw-password"}
