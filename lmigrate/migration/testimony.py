"""What an operator has said about a guest, beside what both hosts say.  Pure.

It decides only what could not be told, never against a copy that runs, and never for the removal of one that has run.
"""

from __future__ import annotations

from lmigrate.migration.verdict import Decision, Seen, Verdict

SOURCE, DESTINATION = "source", "destination"


def decide_as_told(decision: Decision, side: str | None, source: Seen | None, destination: Seen | None) -> Decision:
    """The decision with what an operator says: ``side`` (source or destination) is where the guest is."""
    if decision.verdict is not Verdict.HOLD:
        return decision
    if side == SOURCE and (destination is None or not (destination.is_running or destination.has_run)):
        return Decision(Verdict.NOT_MOVED, f"an operator says that it is the source's ({decision.reason})")
    if side == DESTINATION and _runs_there_alone(source, destination):
        return Decision(Verdict.MOVED, f"an operator says that it is the destination's, which runs it ({decision.reason})")
    return decision


def _runs_there_alone(source: Seen | None, destination: Seen | None) -> bool:
    return destination is not None and destination.is_running and (source is None or not source.is_running)
