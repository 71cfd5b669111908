"""Pages that are written from the code are as the code is."""

import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.parametrize(
    "program", [["docs/settings.py"], ["docs/cli.py"], ["-m", "tests.clients.table"], ["-m", "tests.crash.table"]], ids=" ".join
)
def test_the_page_is_not_stale(repository: Path, program: list[str]) -> None:
    done = subprocess.run([sys.executable, *program, "--check"], cwd=repository, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_page_of_operations_is_not_stale(repository: Path) -> None:
    done = subprocess.run([sys.executable, "-m", "api.policy_page", "--check"], cwd=repository, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
