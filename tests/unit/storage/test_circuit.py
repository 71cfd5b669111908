"""A storage that is silent is left alone after a while; one that says no is not."""

from __future__ import annotations

import pytest

from lmigrate import shell
from lmigrate.breaker import MAX_SILENCES, CircuitState
from lmigrate.errors import StorageError, StorageUnavailable
from lmigrate.ids import new_uuid
from lmigrate.shell import CommandFailed
from lmigrate.storage.circuit import asking, breaker_of


@pytest.fixture
def backend() -> str:
    """One that no other test has asked."""
    return f"san-{new_uuid()}"


def command(backend: str, *argv: str) -> None:
    """As a driver runs a command of its storage."""
    try:
        shell.run(argv, timeout_s=0.05)
    except CommandFailed as error:
        raise StorageError(backend=backend, reason=str(error)) from error


def ask(backend: str, *argv: str) -> None:
    with asking(backend):
        command(backend, *argv)


def test_silence_opens_it_and_the_storage_is_not_asked_again(backend: str) -> None:
    for _ in range(MAX_SILENCES):
        with pytest.raises(StorageUnavailable, match=r"no end within 0\.05 s"):
            ask(backend, "sleep", "60")
    with pytest.raises(StorageUnavailable, match="silent 3 times in a row"):
        ask(backend, "true")


def test_a_refusal_is_an_answer(backend: str) -> None:
    for _ in range(2 * MAX_SILENCES):
        with pytest.raises(StorageError) as error:
            ask(backend, "false")
        assert not isinstance(error.value, StorageUnavailable)
    assert breaker_of(backend).circuit.state is CircuitState.CLOSED
    ask(backend, "true")
