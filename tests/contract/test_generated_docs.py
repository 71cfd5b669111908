"""Pages that are written from the code are as the code is."""

import subprocess
import sys
from pathlib import Path


def test_settings_page_is_not_stale(repository: Path) -> None:
    done = subprocess.run([sys.executable, "docs/settings.py", "--check"], cwd=repository, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
