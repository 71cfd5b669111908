"""What the worker does besides making the application."""

from __future__ import annotations

import subprocess
import sys

#: in a process of its own: loading sets up logs, and freezes every object that there is
SCRIPT = """
import gc
from api.serve import Server

app = Server().load()
print(gc.get_freeze_count(), app.test_client().get("/healthz").status_code)
"""


def test_a_worker_does_not_collect_what_was_there_before_its_first_request(database: str) -> None:
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True)
    frozen, status = done.stdout.split()
    assert int(frozen) > 10_000
    assert status == "200"
