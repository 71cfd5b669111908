"""docs/reference/api.md is as the schemas are."""

import subprocess
import sys
from pathlib import Path


def test_the_page_is_not_stale(repository: Path) -> None:
    done = subprocess.run([sys.executable, "-m", "api.docs", "--check"], cwd=repository, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
