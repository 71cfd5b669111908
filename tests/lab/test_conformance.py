"""libvirt does what `tests/conformance` says, so that the fake may be believed."""

from __future__ import annotations

import json
import secrets
import sys
from dataclasses import asdict
from pathlib import Path

import pytest

from lmigrate.lab.guests.tick_image import TickParameters, as_rom, assemble, patch
from lmigrate.lab.options import LabOptions
from lmigrate.lab.topology import Lab
from tests.conformance.pair import VARIABLE, RealHosts

pytestmark = [pytest.mark.lab, pytest.mark.one_database]


def test_libvirt_conforms(repository: Path, tmp_path: Path) -> None:
    options = LabOptions(lab_id=f"t-{secrets.token_hex(3)}", instances="shared", tls=False, daemons=False)
    with Lab.up(options) as lab:
        source, destination = lab.hosts.values()
        (source.instances_dir / "tick.rom").write_bytes(as_rom(patch(assemble(tmp_path), TickParameters(fill_mib=40))))
        hosts = RealHosts(
            source=source.name,
            destination=destination.name,
            virt_type="kvm" if lab.accel.is_kvm else "qemu",
            rom=str(source.instances_path / "tick.rom"),
        )
        tests = [
            "env",
            f"--chdir={repository}",
            sys.executable,
            "-m",
            "pytest",
            "-p",
            "no:cacheprovider",
            "-q",
            "--durations=5",
            "tests/conformance/test_hypervisor.py",
            "tests/conformance/test_verdict.py",
        ]
        inside = source.run(tests, env={VARIABLE: json.dumps(asdict(hosts))}, timeout_s=300)
        assert inside.returncode == 0, inside.stdout + inside.stderr
