"""The contracts of pyproject.toml, also for whoever runs pytest alone."""

import subprocess
import sys
from pathlib import Path


def test_arrows_point_one_way(repository: Path) -> None:
    command = [str(Path(sys.executable).with_name("lint-imports")), "--no-logo", "--no-cache"]
    done = subprocess.run(command, cwd=repository, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
