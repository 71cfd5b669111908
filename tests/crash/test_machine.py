"""hypothesis plays `machine.py`: the same games in every run, or others and more (``make crash-long``)."""

from __future__ import annotations

import os

import pytest
from hypothesis import settings
from hypothesis.stateful import run_state_machine_as_test

from tests.crash.machine import Machine

EXAMPLES = int(os.environ.get("LMIGRATE_CRASH_EXAMPLES", "0"))
EXAMPLES_OF_EVERY_RUN = {"sqlite": 25, "postgresql": 8}


@pytest.mark.timeout(1200 + 10 * EXAMPLES)
def test_the_invariants_hold_whatever_happens(database: str, database_kind: str) -> None:
    examples = EXAMPLES or EXAMPLES_OF_EVERY_RUN[database_kind]
    chosen = settings(max_examples=examples, stateful_step_count=40, deadline=None, derandomize=not EXAMPLES, print_blob=True)
    run_state_machine_as_test(Machine, settings=chosen)
