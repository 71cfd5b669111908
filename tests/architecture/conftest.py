"""What is under version control: the tree as a newcomer gets it."""

import subprocess
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def tracked() -> list[Path]:
    """Every tracked file that exists, as an absolute path."""
    top = Path(__file__).parent.parent.parent
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=top, capture_output=True, text=True, check=True).stdout
    return [path for name in listed.split("\0") if name and (path := top / name).is_file()]
