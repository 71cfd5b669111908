"""What became of the guest, from what both hosts say.  Pure.

Neither libvirt's return value nor its exception is ever asked: after an error from
migrateToURI3 five combinations of (source, destination) are possible.  The table is that
of DESIGN.md section 7; a cell that cannot be decided safely is HOLD.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

from lmigrate.states import HoldReason, PowerState
from lmigrate.virt.types import DomainInfo, JobStats


@dataclass(frozen=True)
class Seen:
    """What one host said about the guest when it was asked."""

    exists: bool
    power_state: PowerState = PowerState.NOSTATE
    reason: str = ""
    is_job_active: bool = False
    is_ours: bool = False  # the domain carries the mark of this migration
    is_persistent: bool = False
    has_sent_memory: bool = False  # asked only where nothing else tells: see `look`

    @classmethod
    def of(cls, domain: DomainInfo | None, job: JobStats | None, migration_uuid: str) -> Seen:
        """From what the hypervisor answered."""
        if domain is None:
            return cls(exists=False)
        return cls(
            exists=True,
            power_state=domain.power_state,
            reason=domain.reason,
            is_job_active=job is not None and job.is_migration,
            is_ours=domain.migration_mark == migration_uuid,
            is_persistent=domain.is_persistent,
        )

    @classmethod
    def from_facts(cls, facts: dict[str, Any]) -> Seen:
        """Back from the journal."""
        return cls(**{**facts, "power_state": PowerState(facts.get("power_state", PowerState.NOSTATE))})

    def as_facts(self) -> dict[str, Any]:
        """For the journal."""
        return asdict(self)

    @property
    def is_running(self) -> bool:
        """The guest's vCPUs run here."""
        return self.exists and self.power_state in {PowerState.RUNNING, PowerState.BLOCKED}

    @property
    def is_incoming(self) -> bool:
        """A domain that waits for its memory: it has not run here."""
        return self.exists and self.power_state is PowerState.PAUSED and self.reason in INCOMING

    @property
    def is_active(self) -> bool:
        """A QEMU process holds the guest here."""
        return self.exists and self.power_state.is_active

    @property
    def has_run(self) -> bool:
        """A copy that the migration made and that has run here, whether it still does: it may be the newest there is."""
        return self.exists and self.is_ours and not self.is_incoming and self.reason != _FAILED

    @property
    def is_post_copy(self) -> bool:
        """One of the two halves of a post-copy: neither is whole without the other."""
        return self.is_active and self.reason in _POST_COPY

    def __str__(self) -> str:
        if not self.exists:
            return "no such domain"
        job = ", migration job active" if self.is_job_active else ""
        return f"{self.power_state.value} ({self.reason}){job}"


def describe_known(known: dict[str, Any] | None) -> str:
    """What is known of one side (`db.stores.knowledge`), in words."""
    if known is None:
        return "nothing is known"
    return f"{known['host']} said {Seen.from_facts(known['seen'])} at {known['seen_at']}"


class Verdict(StrEnum):
    """What to do."""

    MOVED = "moved"  # it runs on the destination: go forward
    MOVING = "moving"  # the job goes on: watch it
    RESUME = "resume"  # post-copy stands still: resume it when the link is back; neither copy is whole alone
    NOT_MOVED = "not-moved"  # it is the source's: undo what was made on the destination
    HOLD = "hold"  # it cannot be told safely: a human decides


@dataclass(frozen=True)
class Decision:
    """A verdict and why."""

    verdict: Verdict
    reason: str
    hold: HoldReason | None = None  # which kind of HOLD


def _hold(kind: HoldReason, reason: str) -> Decision:
    return Decision(Verdict.HOLD, reason, kind)


_MAY_HAVE_ENDED_THERE = "a transient guest may have run on the destination and ended"
_POST_COPY_BROKEN = "postcopy-failed"
_FAILED = "failed"  # libvirt gave the domain up before it ran
_POST_COPY = frozenset({"postcopy", _POST_COPY_BROKEN})
#: a domain that waits for its memory is paused for one of these reasons; one that arrived paused is not
INCOMING = frozenset({"migration", "starting-up"})
#: a domain that is shut off for one of these reasons ended here, by itself or by somebody's hand
_ENDED_HERE = frozenset({"shutdown", "destroyed", "crashed", _FAILED})


def decide(source: Seen | None, destination: Seen | None, before: PowerState, *, has_post_copy_begun: bool = False) -> Decision:
    """The verdict for what ``source`` and ``destination`` say; None: that host does not answer.

    ``before`` is the guest's power state when the migration began: a guest that its owner
    had paused arrives paused, and is then where it should be.  ``has_post_copy_begun``: the switch
    was ordered, so that the destination may have run the guest whatever it has of it now.
    """
    decision = _post_copy(source, destination) or _by_table(source, destination, before)
    if decision.verdict is Verdict.NOT_MOVED and has_post_copy_begun and source is not None and not source.is_running:
        return _hold(HoldReason.POST_COPY_BROKEN, f"post-copy was begun, so that the destination may have run it; {decision.reason}")
    return decision


def _post_copy(source: Seen | None, destination: Seen | None) -> Decision | None:
    """What is to be done about a post-copy; None: neither side is in one."""
    is_leaving = source is not None and source.is_post_copy
    is_arriving = destination is not None and destination.is_post_copy and destination.is_ours
    has_handed_over = source is not None and source.exists and not source.is_active and source.reason == "migrated"
    if not (is_leaving or is_arriving) or has_handed_over:
        return None
    sides = f"source: {_told(source)}; destination: {_told(destination)}"
    if _POST_COPY_BROKEN not in {side.reason for side in (source, destination) if side is not None} and _is_job_active(source):
        return Decision(Verdict.MOVING, f"the guest runs on the destination, its memory follows; {sides}")
    return Decision(Verdict.RESUME, f"post-copy stands still: neither copy is whole alone, both are kept; {sides}")


def _is_job_active(seen: Seen | None) -> bool:
    return seen is not None and seen.is_job_active


def _told(seen: Seen | None) -> str:
    return "does not answer" if seen is None else str(seen)


def _by_table(source: Seen | None, destination: Seen | None, before: PowerState) -> Decision:
    """Without post-copy."""
    if source is None or destination is None:
        return _one_silent(source, destination)
    if source.is_job_active:  # the two were not asked at one moment: whatever the destination says, ask again
        return Decision(Verdict.MOVING, "the job goes on")
    if source.is_running:
        return _source_runs(source, destination)
    if destination.is_active and not destination.is_ours:
        return _hold(HoldReason.FOREIGN_DOMAIN, "the destination has a domain of that UUID which this migration did not make")
    if destination.is_running:
        return Decision(Verdict.MOVED, f"the destination runs it; source: {source}")
    return _source_holds(source, destination) if source.is_active else _source_let_go(source, destination, before)


def _one_silent(source: Seen | None, destination: Seen | None) -> Decision:
    if destination is not None and destination.is_running and destination.is_ours:
        return Decision(Verdict.MOVED, "the destination runs it; the source does not answer and must be verified before it may start")
    if source is not None and source.is_job_active:
        return Decision(Verdict.MOVING, "the source's job goes on; the destination does not answer")
    if source is None:
        return _hold(HoldReason.SOURCE_SILENT, "the source does not answer")
    return _hold(HoldReason.DESTINATION_SILENT, "the destination does not answer")


def _source_runs(source: Seen, destination: Seen) -> Decision:
    if destination.is_running:
        return _hold(HoldReason.RUNS_ON_BOTH, f"the guest runs on both hosts; source: {source}")
    if destination.has_run:
        return _hold(HoldReason.COPY_HAS_RUN, f"the source runs it, and the destination has a copy that has run: {destination}")
    return Decision(Verdict.NOT_MOVED, f"the source runs it; destination: {destination}")


def _source_holds(source: Seen, destination: Seen) -> Decision:
    """A stopped guest on the source, and no job."""
    if destination.has_run:
        return _hold(HoldReason.STOPPED_ON_BOTH, f"both hosts hold it, stopped; source: {source}; destination: {destination}")
    may_have_ended_there = not destination.exists and not source.is_persistent
    if may_have_ended_there and source.has_sent_memory:
        return _hold(HoldReason.STOPPED_AT_SWITCHOVER, f"{source}, and its memory was sent; {_MAY_HAVE_ENDED_THERE}")
    if source.reason != "migration":
        return Decision(Verdict.NOT_MOVED, f"the source holds it: {source}; the destination never ran it")
    if destination.exists:
        return _hold(HoldReason.STOPPED_AT_SWITCHOVER, f"stopped in the middle of the switchover; destination: {destination}")
    if may_have_ended_there:
        return _hold(HoldReason.STOPPED_AT_SWITCHOVER, f"stopped at the switchover; {_MAY_HAVE_ENDED_THERE}")
    return Decision(Verdict.NOT_MOVED, "stopped in the middle of the switchover; the destination has nothing")


def _source_let_go(source: Seen, destination: Seen, before: PowerState) -> Decision:
    """No guest on the source: it has left, or it has ended there."""
    if source.exists and source.reason in _ENDED_HERE:
        return _ended(source, destination)
    has_left = source.reason == "migrated" or not source.exists
    if destination.is_active and not destination.is_incoming:
        state = "paused, as it was before" if before is PowerState.PAUSED else f"stopped there: {destination}"
        return Decision(Verdict.MOVED, f"the source has handed it over; on the destination it is {state}")
    if source.reason == "migrated" and destination.is_incoming:
        return Decision(Verdict.MOVED, "the source has handed it over; the destination has still to let it run")
    if destination.is_active:
        return _hold(
            HoldReason.NOT_HANDED_OVER, f"the source does not say that the guest has left ({source}), and the destination never ran it"
        )
    if has_left and destination.exists and destination.is_ours:
        return Decision(Verdict.MOVED, f"the source has handed it over; it then stopped on the destination: {destination}")
    if source.exists and source.reason != "migrated" and not destination.exists:
        return Decision(Verdict.NOT_MOVED, f"the source has it: {source}; the destination has nothing")
    return _hold(HoldReason.ON_NEITHER_HOST, f"the guest is on neither host; source: {source}; destination: {destination}")


def _ended(source: Seen, destination: Seen) -> Decision:
    if not destination.exists or destination.is_incoming:
        return Decision(Verdict.NOT_MOVED, f"the guest stopped by itself on the source: {source}; the destination never ran it")
    if not destination.is_ours:
        return Decision(Verdict.NOT_MOVED, f"the guest stopped by itself on the source: {source}")
    return _hold(
        HoldReason.COPY_HAS_RUN, f"the guest stopped on the source ({source}), and the destination has a copy that has run: {destination}"
    )
