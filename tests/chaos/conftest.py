"""One lab for the chaos tests: whatever breaks in it, no other test notices."""

from __future__ import annotations

import secrets
from collections.abc import Iterator

import libvirt
import pytest

from tests.chaos.herd import Herd
from tests.chaos.scene import Scene, chaos_lab


@pytest.fixture(scope="session")
def scene(database_kind: str) -> Iterator[Scene]:
    libvirt.registerErrorHandler(lambda *_: None, None)  # it would print what it raises anyway
    with chaos_lab(f"chaos-{secrets.token_hex(3)}", database_kind) as made:
        yield made


@pytest.fixture(scope="session")
def herd(scene: Scene) -> Herd:
    return Herd(scene)
