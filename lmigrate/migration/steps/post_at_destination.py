"""Ask the destination; if the guest is there, say so first, then finish it."""

from __future__ import annotations

from pathlib import Path

import structlog

from lmigrate.db.models import Migration
from lmigrate.db.session import Session, writing
from lmigrate.db.stores import actions, migrations
from lmigrate.errors import MigrationAborted, MigrationFailed, OutcomeUnknown, StepFailed
from lmigrate.migration.look import look
from lmigrate.migration.steps.base import Facts, Side, Step, StepContext, running_status
from lmigrate.migration.verdict import Decision, Seen, Verdict, decide
from lmigrate.states import HoldReason, MigrationStatus, PowerState
from lmigrate.storage import ownership

log = structlog.get_logger(__name__)


class PostAtDestination(Step):
    """Prove that the guest is here, write instance.host, and make it at home.

    Do:        look at the domain; with what the source said, decide; on "moved" write instance.host in one
               transaction, then see to power state, persistent definition and marks.
    Undo:      before the switchover nothing was made; after it there is no way back.
    If killed: every part is *ensure*; the second run finds the switchover written and completes the rest.
    Because:   what libvirt returned is not proof, and the record must be right from the first moment on.
    """

    name = "post_at_destination"
    side = Side.DESTINATION
    status = MigrationStatus.RUNNING
    honours_abort = True

    def status_of(self, migration: Migration) -> MigrationStatus:
        """Until the destination is proven nothing has changed."""
        return running_status(migration)

    def do(self, context: StepContext) -> Facts:
        """Facts: destination (what it looked like), downtime_ms as QEMU measured it."""
        hypervisor, uuid = context.hypervisor, context.instance.uuid
        seen = look(hypervisor, uuid, context.uuid)
        if context.migration.switched_over_at is None:
            self._switch_over(context, seen)
        elif not seen.exists and context.data.is_persistent:
            raise OutcomeUnknown(
                reason=f"{context.migration.dest_host} has no such domain any more", hold=HoldReason.VANISHED_AT_DESTINATION
            )
        if seen.exists:
            self._make_at_home(context, seen)
        self._release(context)
        completed = hypervisor.completed_job(uuid) if seen.exists else None
        return {"destination": seen.as_facts(), "downtime_ms": None if completed is None else completed.downtime_ms}

    def on_done(self, session: Session, migration: Migration, facts: Facts) -> None:
        """Keep the measured pause."""
        del session
        migration.downtime_ms = facts["downtime_ms"]

    def _switch_over(self, context: StepContext, seen: Seen) -> None:
        source = Seen.from_facts(context.facts["migrate"]["source"])
        has_begun = context.migration.post_copy_at is not None
        decision = decide(source, seen, context.migration.power_state_before, has_post_copy_begun=has_begun)
        if decision.verdict is not Verdict.MOVED:
            raise _not_moved(context, decision)
        with writing() as session:
            migration = migrations.lock(session, context.migration.id)
            if migration.attempt != context.migration.attempt or not migrations.switch_over(session, migration):
                raise StepFailed(step=self.name, migration=migration.id, reason="the migration has gone on without this worker")
            actions.record(
                session, migration, "switchover", f"{migration.dest_host} is the guest's host: {decision.reason}", result="Success"
            )

    def _make_at_home(self, context: StepContext, seen: Seen) -> None:
        hypervisor, uuid = context.hypervisor, context.instance.uuid
        was_running = context.migration.power_state_before is not PowerState.PAUSED
        if was_running and seen.power_state is PowerState.PAUSED and seen.reason in {"migration", "starting-up"}:
            hypervisor.resume(uuid)
        if context.data.is_persistent and not seen.is_persistent:
            hypervisor.define(hypervisor.domain_xml(uuid, is_inactive=True))
        if context.facts["migrate"].get("had_autostart"):
            hypervisor.set_autostart(uuid, is_on=True)

    def _release(self, context: StepContext) -> None:
        """The directory and the disks are the guest's own from now on."""
        for path in context.facts["pre_live_migration"]["disks"].values():
            ownership.release_file(Path(path), context.uuid)
        ownership.release_directory(Path(context.data.destination_instances_path) / context.instance.uuid, context.uuid)


def _not_moved(context: StepContext, decision: Decision) -> MigrationAborted | MigrationFailed | OutcomeUnknown:
    if decision.verdict is Verdict.NOT_MOVED and context.is_abort_requested():
        return MigrationAborted()
    if decision.verdict is Verdict.NOT_MOVED:
        call_error = context.facts["migrate"]["call_error"]
        return MigrationFailed(reason=f"{decision.reason}{f' ({call_error})' if call_error else ''}")
    return OutcomeUnknown(reason=decision.reason)
