"""Whether something that carries our mark is needed, may matter, or may go.  Pure.

Only what is proven ours *and* unneeded goes: a mark, a migration that has ended, and a guest
that does not run from it.  What may have run, or is newer than the migration's end, is reported;
so is what was left when a host was fenced: nobody asked that host, it may have gone on running the guest.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from lmigrate.db.stores.pasts import Past
from lmigrate.migration.verdict import Seen
from lmigrate.states import LeakKind, MigrationStatus

_UNDONE = frozenset({MigrationStatus.FAILED, MigrationStatus.CANCELLED})


class Fate(StrEnum):
    """What becomes of it."""

    NEEDED = "needed"
    REMOVE = "remove"
    RELEASE = "release"  # the mark goes, the thing stays: it is the guest's
    REPORT = "report"


@dataclass(frozen=True)
class Judgement:
    """A fate and why."""

    fate: Fate
    reason: str


NEEDED = Judgement(Fate.NEEDED, "")


def of_domain(seen: Seen, past: Past | None, host: str) -> Judgement:
    """A domain on ``host`` with the mark of ``past``."""
    if past is None:
        return Judgement(Fate.REPORT, "it carries the mark of a migration that these records do not know")
    if past.ended_at is None or past.is_guest_moving or past.guest_host == host:
        return NEEDED
    made = f"made by migration {past.migration_id}, which ended {past.status.value}"
    if seen.is_incoming and past.status in _UNDONE:
        return Judgement(Fate.REMOVE, f"{made}; it has never run here")
    if seen.is_active:
        return Judgement(Fate.REPORT, f"{made}; it is {seen}, though the guest's host is {past.guest_host}")
    # a definition is made only after the guest's memory has arrived; that it is shut off for no known reason says nothing:
    # a libvirtd that was restarted has forgotten the reason
    return Judgement(Fate.REPORT, f"{made}; it may have run here: {seen}")


def of_departed(seen: Seen, past: Past | None, host: str) -> Judgement:
    """A domain on ``host`` without a mark of ours; ``past`` is the move by which its guest left this host."""
    if past is None or past.ended_at is None or past.is_guest_moving or past.guest_host in {host, None} or seen.is_active:
        return NEEDED
    reason = f"left behind when migration {past.migration_id} took the guest to {past.guest_host}: this host was not asked at its end"
    return Judgement(Fate.REPORT, reason)


def of_file(kind: LeakKind, past: Past | None, host: str, changed_at: datetime, *, is_used: bool) -> Judgement:
    """A file or directory on ``host`` with the mark of ``past``; ``is_used``: a domain here has a disk in it."""
    if past is None:
        return Judgement(Fate.REPORT, "it carries the mark of a migration that these records do not know")
    if past.ended_at is None or past.is_guest_moving:
        return NEEDED
    made = f"made by migration {past.migration_id}, which ended {past.status.value}"
    if kind is LeakKind.PROBE:
        return Judgement(Fate.REMOVE, made)
    if past.status is MigrationStatus.COMPLETED and past.guest_host == host:
        return Judgement(Fate.RELEASE, f"{made}; it is the guest's, only the mark was left")
    if past.fenced_host is not None:  # on any host: the directory may be shared
        return Judgement(Fate.REPORT, f"{made} while {past.fenced_host} was fenced: it may be the guest's newest copy")
    if is_used:
        return Judgement(Fate.REPORT, f"{made}; a domain of this host uses it")
    if changed_at > past.ended_at:
        return Judgement(Fate.REPORT, f"{made}, and was changed after that, at {changed_at:%Y-%m-%d %H:%M:%S} UTC")
    return Judgement(Fate.REMOVE, f"{made}; no domain of this host uses it")


def of_secret(*, has_attachment: bool, is_used: bool) -> Judgement:
    """A secret of libvirt that was made for an attachment."""
    if has_attachment:
        return NEEDED
    if is_used:
        return Judgement(Fate.REPORT, "its attachment is gone, but a domain of this host names it")
    return Judgement(Fate.REMOVE, "its attachment is gone, and no domain of this host names it")


def of_session(*, is_ours: bool, has_attachment: bool, is_used: bool) -> Judgement:
    """A session of this host's kernel; ``is_ours``: with a registered volume's target.  Nobody knows who began it: it is never ended."""
    if not is_ours or has_attachment or is_used:
        return NEEDED
    return Judgement(Fate.REPORT, "this host's kernel is logged in, and no guest of this host has a volume there")
