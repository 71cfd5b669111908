"""Where `make clients` has installed OpenStack's own clients."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
DIRECTORY = REPOSITORY / ".clients"
EXAMPLES = REPOSITORY / "docs" / "examples"


@dataclass(frozen=True)
class Environment:
    """A virtual environment with a client and the libraries of its day.

    Attributes:
        name: of its lock below requirements/clients and of its folder.
        title: what the documentation calls it.
    """

    name: str
    title: str

    @property
    def python(self) -> Path:
        """Its interpreter."""
        return self.program("python")

    def program(self, name: str) -> Path:
        """One of its commands; the test fails with what to do when it is not installed."""
        found = DIRECTORY / self.name / "bin" / name
        if not found.exists():
            pytest.fail(f"{found} is missing: run `make clients`", pytrace=False)
        return found


NEWEST = Environment("osc-10", "python-openstackclient 10.5")
ANSIBLE = SEVEN = Environment("osc-7", "python-openstackclient 7.4")
DEBIAN = Environment("osc-6", "python-openstackclient 6.0 (Debian 12)")
SHELLS = [NEWEST, SEVEN, DEBIAN]
