"""From what all hosts have seen of a guest to what its record should say.  Pure.

    one host runs it                  it is there, in that state; definitions elsewhere do not matter
    two hosts run it                  an anomaly: on which one it belongs is not for us to guess
    none runs it, one defines it      it is there, stopped
    none runs it, several define it   it stays where its record has it; else an anomaly
    none runs it, a move left one     that one does not count, wherever the record has the guest
    nobody has it                     it has vanished: the record stays, with an anomaly, until it is seen again

A domain that is just arriving or just leaving (paused by a migration) is not counted as
running; a record whose guest is being migrated by lmigrate is left alone but for its power
state, because the migration owns it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from lmigrate.states import PowerState, TaskState, VmState, vm_state_of


class Anomaly(StrEnum):
    """What is wrong with a guest: the beginning of the sentence in its record."""

    RUNS_ON_SEVERAL = "running on"
    DEFINED_ON_SEVERAL = "defined on"
    VANISHED = "its domain has vanished"
    POST_COPY_FAILED = "its post-copy migration has failed"

    @classmethod
    def of(cls, sentence: str) -> Anomaly | None:
        """Which one a record tells of."""
        return next((kind for kind in cls if sentence.startswith(kind.value)), None)


#: libvirt's reasons for a pause while a domain comes or goes; it runs elsewhere, or is about to
_PASSING = {"migration", "postcopy", "starting-up"}
_POSTCOPY_FAILED = "postcopy-failed"


@dataclass(frozen=True)
class Sighted:
    """What one host last said of the domain."""

    host: str
    power_state: PowerState
    reason: str
    seen_at: datetime
    is_host_up: bool = True  # False: that was its last word; what is now is not known

    @property
    def is_passing(self) -> bool:
        """Whether the domain is about to appear or to disappear here."""
        return self.power_state is PowerState.PAUSED and self.reason in _PASSING

    @property
    def is_moved_away(self) -> bool:
        """Whether its state tells of the move and not of the guest: paused for the switchover, half a guest, or what is left after it."""
        return self.is_passing or self.reason == _POSTCOPY_FAILED or self.is_left_behind

    @property
    def is_left_behind(self) -> bool:
        """Whether this is only the definition that a move has left here."""
        return not self.power_state.is_active and self.reason == "migrated"

    @property
    def is_settled(self) -> bool:
        """Whether a QEMU process holds the guest here, and not only its coming or going."""
        return self.power_state.is_active and not self.is_passing


@dataclass(frozen=True)
class Standing:
    """Where an instance stands: part of its record."""

    host: str | None
    vm_state: VmState
    power_state: PowerState
    anomaly: str | None = None
    task_state: TaskState | None = None


@dataclass(frozen=True)
class Viewpoint:
    """Who asks, and what is known besides the sightings."""

    host: str  # the daemon that asks
    looked_at: datetime  # when it last asked its libvirtd about this guest
    moved_at: datetime | None = None  # the guest's last switchover …
    moved_to: str | None = None  # … and where it went

    def is_void(self, sighted: Sighted) -> bool:
        """Whether a sighting is from before the guest was seen to leave that host."""
        return self.moved_at is not None and sighted.host != self.moved_to and sighted.seen_at <= self.moved_at


def reconcile(sightings: Sequence[Sighted], known: Standing | None, viewpoint: Viewpoint) -> Standing | None:
    """What the record should say; None: there is none, and it is too early to make one."""
    valid = sorted((sighted for sighted in sightings if not viewpoint.is_void(sighted)), key=lambda sighted: sighted.host)
    if known is not None and known.task_state is not None:
        return _with_power_only([sighted for sighted in valid if not sighted.is_moved_away], known)
    failed = [sighted for sighted in valid if sighted.reason == _POSTCOPY_FAILED]
    if failed:
        return _in_doubt(known, f"{Anomaly.POST_COPY_FAILED}; each of {_hosts(valid)} may hold a part of its memory: destroy neither")
    settled = [sighted for sighted in valid if sighted.is_settled]
    if len(settled) > 1:
        return _in_doubt(known, _running_on(settled))
    if settled:
        return _at(settled[0])
    if any(sighted.is_passing for sighted in valid):
        return known and _with_power_only(valid, known)
    stopped = [sighted for sighted in valid if not _is_elsewhere(sighted, known)]
    return _stopped(stopped, known) if stopped else _vanished(known, viewpoint)


def _is_elsewhere(sighted: Sighted, known: Standing | None) -> bool:
    """Whether the guest has left this host for the one of its record, which may not have said yet what it sees."""
    return sighted.is_left_behind and known is not None and known.host not in {sighted.host, None}


def runs_on(sightings: Sequence[Sighted], viewpoint: Viewpoint) -> str | None:
    """The only host that runs the guest, or None."""
    settled = [sighted.host for sighted in sightings if sighted.is_settled and not viewpoint.is_void(sighted)]
    return settled[0] if len(settled) == 1 else None


def _with_power_only(valid: Sequence[Sighted], known: Standing) -> Standing:
    here = next((sighted for sighted in valid if sighted.host == known.host), None)
    return known if here is None else replace(known, power_state=here.power_state)


def _at(sighted: Sighted) -> Standing:
    return Standing(sighted.host, vm_state_of(sighted.power_state), sighted.power_state)


def _in_doubt(known: Standing | None, anomaly: str) -> Standing:
    return Standing(known.host if known else None, VmState.UNKNOWN, PowerState.RUNNING, anomaly)


def _running_on(settled: Sequence[Sighted]) -> str:
    """running on node5 and node6; states and doubts only where they tell more."""
    named = [_host_with_doubt(sighted) for sighted in settled]
    return f"{Anomaly.RUNS_ON_SEVERAL} {_and(named)}"


def _host_with_doubt(sighted: Sighted) -> str:
    state = "" if sighted.power_state is PowerState.RUNNING else f" ({sighted.power_state.value})"
    doubt = "" if sighted.is_host_up else f" (last seen {sighted.seen_at:%Y-%m-%d %H:%M:%S} UTC; the host is down)"
    return f"{sighted.host}{state}{doubt}"


def _stopped(valid: Sequence[Sighted], known: Standing | None) -> Standing:
    if len(valid) == 1:
        return _at(valid[0])
    previous = known.host if known else None
    here = next((sighted for sighted in valid if sighted.host == previous), None)
    if here is not None:
        return _at(here)
    return Standing(previous, VmState.STOPPED, PowerState.SHUTOFF, f"{Anomaly.DEFINED_ON_SEVERAL} {_hosts(valid)}, running on none of them")


def _vanished(known: Standing | None, viewpoint: Viewpoint) -> Standing | None:
    """Only the guest's own host may say that it is gone, and only from a look after its arrival."""
    if known is None or known.host not in {viewpoint.host, None}:
        return known
    if viewpoint.moved_at is not None and viewpoint.looked_at <= viewpoint.moved_at:
        return known
    where = known.host or "every host"
    return replace(known, vm_state=VmState.UNKNOWN, power_state=PowerState.NOSTATE, anomaly=f"{Anomaly.VANISHED} from {where}")


def _hosts(sightings: Sequence[Sighted]) -> str:
    return _and([sighted.host for sighted in sightings])


def _and(names: Sequence[str]) -> str:
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)
