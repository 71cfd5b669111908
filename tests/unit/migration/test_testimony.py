"""What an operator says counts where nothing can be told, and never against a copy that runs."""

from __future__ import annotations

import pytest

from lmigrate.migration.testimony import decide_as_told
from lmigrate.migration.verdict import Seen, Verdict, decide
from lmigrate.states import PowerState

NONE = Seen(exists=False)
RUNS = Seen(exists=True, power_state=PowerState.RUNNING, reason="booted")
STUCK = Seen(exists=True, power_state=PowerState.PAUSED, reason="migration")
INCOMING = Seen(exists=True, power_state=PowerState.PAUSED, reason="migration", is_ours=True)
ARRIVED = Seen(exists=True, power_state=PowerState.RUNNING, reason="migrated", is_ours=True)
OFF = Seen(exists=True, power_state=PowerState.SHUTOFF, reason="unknown", is_persistent=True)
COPY_OFF = Seen(exists=True, power_state=PowerState.SHUTOFF, reason="unknown", is_ours=True, is_persistent=True)
MOVED, NOT_MOVED, HOLD = Verdict.MOVED, Verdict.NOT_MOVED, Verdict.HOLD


@pytest.mark.parametrize(
    ("side", "source", "destination", "verdict"),
    [
        ("source", STUCK, INCOMING, NOT_MOVED),
        ("source", NONE, NONE, NOT_MOVED),
        ("source", RUNS, None, NOT_MOVED),  # the destination is off
        ("source", NONE, RUNS, HOLD),  # somebody else's domain runs there
        ("source", RUNS, ARRIVED, HOLD),
        ("source", OFF, COPY_OFF, HOLD),  # both lost their power: the copy may be the newest
        ("source", RUNS, COPY_OFF, HOLD),
        ("source", STUCK, ARRIVED, MOVED),  # seen, whatever is said
        ("destination", NONE, RUNS, MOVED),  # started there by hand
        ("destination", None, RUNS, MOVED),  # the source is off
        ("destination", STUCK, RUNS, MOVED),
        ("destination", RUNS, ARRIVED, HOLD),
        ("destination", STUCK, INCOMING, HOLD),  # said, but not to be seen
        ("destination", NONE, NONE, HOLD),
        ("destination", NONE, None, HOLD),
        (None, STUCK, INCOMING, HOLD),
    ],
)
def test_what_is_said(side: str | None, source: Seen | None, destination: Seen | None, verdict: Verdict) -> None:
    decision = decide(source, destination, PowerState.RUNNING)
    assert decide_as_told(decision, side, source, destination).verdict is verdict
