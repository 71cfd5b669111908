"""Processes whose clock is wrong, as of a machine without NTP."""

from __future__ import annotations

import subprocess
from pathlib import Path


def wrong_clock(directory: Path, off_s: int) -> dict[str, str]:
    """The environment in which a program's clock is off by so many seconds.

    Built here: libfaketime 0.9.10 makes Python's sleep fail (clock_nanosleep with an absolute time).
    """
    library = directory / "wrong_clock.so"
    if not library.exists():
        source = Path(__file__).with_suffix(".c")
        subprocess.run(["gcc", "-shared", "-fPIC", "-O1", "-Wall", "-Werror", "-o", str(library), str(source)], check=True)
    return {"LD_PRELOAD": str(library), "CLOCK_OFF_S": str(off_s)}
