"""The words for where things stand, and which may follow which.  Pure."""

from __future__ import annotations

from enum import StrEnum


class MigrationStatus(StrEnum):
    """Nova's statuses of a live migration, with one list of what is in progress."""

    ACCEPTED = "accepted"  # recorded; the destination is being chosen and checked
    QUEUED = "queued"  # checks passed; waiting for a place to run
    PREPARING = "preparing"  # pre_live_migration runs on the destination
    RUNNING = "running"  # memory (and disks) are being copied
    RUNNING_POST_COPY = "running (post-copy)"  # the guest runs on the destination, memory follows
    POST_MIGRATING = "post-migrating"  # the guest is proven on the destination; tidying up
    COMPLETED = "completed"  # terminal, clean
    FAILED = "failed"  # terminal, clean: the guest runs on the source, nothing is left behind
    CANCELLED = "cancelled"  # terminal, clean: as failed, on request
    ERROR = "error"  # held: a human is needed, the reason says why

    @property
    def is_terminal(self) -> bool:
        """Whether the migration has ended and nothing will touch it again."""
        return self in TERMINAL


TERMINAL = frozenset({MigrationStatus.COMPLETED, MigrationStatus.FAILED, MigrationStatus.CANCELLED})
IN_PROGRESS = frozenset(MigrationStatus) - TERMINAL - {MigrationStatus.ERROR}
#: before switchover: an abort can still be honoured
ABORTABLE = frozenset(
    {MigrationStatus.ACCEPTED, MigrationStatus.QUEUED, MigrationStatus.PREPARING, MigrationStatus.RUNNING},
)


class StepState(StrEnum):
    """Where one step of one attempt stands in the journal."""

    PENDING = "pending"  # an earlier step has not finished
    READY = "ready"  # may be claimed
    RUNNING = "running"  # claimed: its effects may exist, in part or whole
    DONE = "done"  # all effects exist; facts are recorded
    FAILED = "failed"  # raised: its effects may exist, in part
    UNDOING = "undoing"  # claimed for undo
    UNDONE = "undone"  # none of its effects exist


#: states in which a step may have left effects in the world
MAY_HAVE_EFFECTS = frozenset({StepState.RUNNING, StepState.DONE, StepState.FAILED, StepState.UNDOING})


class Phase(StrEnum):
    """Which way a migration is being driven."""

    FORWARD = "forward"  # steps run in order
    ROLLING_BACK = "rolling-back"  # undo runs in reverse order
    HELD = "held"  # nothing runs until a human decides
    ENDED = "ended"


class PendingRequest(StrEnum):
    """What was asked of a migration under way and has not come about."""

    ABORT = "abort"
    FORCE_COMPLETE = "force_complete"


class HoldReason(StrEnum):
    """Why a migration waits for a human.  Each has a page of that name in docs/runbooks/."""

    RUNS_ON_BOTH = "runs-on-both"  # both hosts run the guest
    COPY_HAS_RUN = "copy-has-run"  # the source has the guest, and the destination a copy that has run as well
    STOPPED_ON_BOTH = "stopped-on-both"  # both hold it, stopped, and each may have run last
    STOPPED_AT_SWITCHOVER = "stopped-at-switchover"  # the source stopped it to hand it over; nobody runs it
    NOT_HANDED_OVER = "not-handed-over"  # the source has it no more and does not say that it left; the destination never ran it
    ON_NEITHER_HOST = "on-neither-host"
    FOREIGN_DOMAIN = "foreign-domain"  # the destination has a domain of that UUID which this migration did not make
    POST_COPY_BROKEN = "post-copy-broken"  # each side has a part of the memory
    SOURCE_SILENT = "source-silent"  # what the source holds matters, and it does not answer
    DESTINATION_SILENT = "destination-silent"
    SOURCE_STILL_ACTIVE = "source-still-active"  # after the switchover the source still holds the guest
    VANISHED_AT_DESTINATION = "vanished-at-destination"  # after the switchover the destination has it no more
    FORWARD_FAILS = "forward-fails"  # after the switchover a step fails again and again


#: these end by themselves as soon as the host answers
HELD_FOR_SILENCE = frozenset({HoldReason.SOURCE_SILENT, HoldReason.DESTINATION_SILENT})


class LeakKind(StrEnum):
    """What can be left over."""

    DOMAIN = "domain"
    DIRECTORY = "directory"  # with the mark of a migration
    FILE = "file"
    PROBE = "probe"
    SECRET = "secret"  # noqa: S105 - one of libvirt, for a volume
    SESSION = "iscsi-session"  # of the kernel, with a volume's target
    LOCK = "lock"  # somebody works on a guest that no migration works on
    ATTACHMENT = "attachment"  # a row that nobody was going to finish
    GRANT = "grant"  # access at the storage that no row names
    STRAY = "stray-attachment"  # in the storage's own books, and explained by no row
    RESERVATION = "reservation"
    TASK_STATE = "task-state"  # an instance that is taken by no migration
    PROGRESS = "progress"  # of an idle instance


class VmState(StrEnum):
    """Nova's vm_state, as far as a running guest needs it."""

    ACTIVE = "active"
    PAUSED = "paused"
    STOPPED = "stopped"
    SUSPENDED = "suspended"
    ERROR = "error"
    UNKNOWN = "unknown"  # on no host, or on more than one: `anomaly` says which


#: vm_states in which a guest can be live migrated
MIGRATABLE = frozenset({VmState.ACTIVE, VmState.PAUSED})


class TaskState(StrEnum):
    """What is being done to an instance; None when idle."""

    MIGRATING = "migrating"


class PowerState(StrEnum):
    """libvirt's virDomainState, by name."""

    NOSTATE = "nostate"
    RUNNING = "running"
    BLOCKED = "blocked"
    PAUSED = "paused"
    SHUTDOWN = "shutdown"
    SHUTOFF = "shutoff"
    CRASHED = "crashed"
    PMSUSPENDED = "pmsuspended"

    @property
    def is_active(self) -> bool:
        """Whether a QEMU process exists for the domain."""
        return self not in {PowerState.SHUTOFF, PowerState.NOSTATE}


def vm_state_of(power: PowerState) -> VmState:
    """The vm_state that a domain seen in ``power`` amounts to."""
    return {
        PowerState.RUNNING: VmState.ACTIVE,
        PowerState.BLOCKED: VmState.ACTIVE,
        PowerState.SHUTDOWN: VmState.ACTIVE,
        PowerState.PAUSED: VmState.PAUSED,
        PowerState.PMSUSPENDED: VmState.SUSPENDED,
        PowerState.SHUTOFF: VmState.STOPPED,
        PowerState.CRASHED: VmState.ERROR,
    }.get(power, VmState.UNKNOWN)


class VolumeState(StrEnum):
    """How far a volume's registration has come."""

    REGISTERING = "registering"  # the storage has not been asked yet
    AVAILABLE = "available"  # the storage has it
    ERROR = "error"  # the storage does not have it, or did not say; the reason is beside it


class AttachmentState(StrEnum):
    """How far one host's access to one volume has come."""

    GRANTING = "granting"  # the row is there; the storage may or may not know of it
    GRANTED = "granted"  # the storage lets the host in
    REVOKING = "revoking"  # the storage may or may not have taken it back


class Role(StrEnum):
    """What a caller of the API may do; each role may do what the one before it may."""

    READER = "reader"  # look at everything but tokens and the audit
    OPERATOR = "operator"  # move guests, abort, enable and disable hosts
    ADMIN = "admin"  # say where a held guest runs, register volumes, tokens, the audit

    def may(self, needed: Role) -> bool:
        """Whether what ``needed`` may do is permitted to this role, too."""
        ranks = list(Role)
        return ranks.index(self) >= ranks.index(needed)
