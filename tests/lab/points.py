"""Fail points of a lab: what happens there, and whoever waits there until he is let go."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lmigrate.faults import HELD
from lmigrate.lab.topology import Lab
from tests.lab.wire import eventually


def inject(lab: Lab, point: str, action: str) -> None:
    """What happens at a fail point from now on."""
    (lab.faults_dir / point).write_text(action)


def hold(lab: Lab, point: str) -> Path:
    """Whoever comes to the fail point waits there as long as the file exists that is returned, once it does."""
    inject(lab, point, "hold")
    return lab.faults_dir / f"{point}{HELD}"


@contextmanager
def standing_at(held: Path) -> Iterator[None]:
    """Wait until somebody stands at the fail point; he goes on at the end."""
    eventually(f"somebody stands at {held.name}", held.exists, deadline_s=60)
    try:
        yield
    finally:
        held.unlink()
