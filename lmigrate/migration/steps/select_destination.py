"""Choose the destination, or check the one that was asked for."""

from __future__ import annotations

from lmigrate.db.clock import utcnow
from lmigrate.db.models import Instance, Migration
from lmigrate.db.session import Session, writing
from lmigrate.db.stores import hosts, journal, migrations
from lmigrate.errors import ComputeServiceUnavailable
from lmigrate.migration.steps.base import Facts, Side, Step, StepContext
from lmigrate.scheduler import reservations
from lmigrate.scheduler.choose import choose_and_reserve
from lmigrate.states import MigrationStatus


class SelectDestination(Step):
    """Find a host that can take the guest, and reserve memory for it there.

    Do:        filter and weigh the hosts; reserve on the best in the same transaction.
    Undo:      give the reservation back.
    If killed: at most the reservation exists; a second run replaces it, the end of the migration removes it.
    Because:   two migrations must not both count on the last memory of a host.
    """

    name = "select_destination"
    side = Side.CONDUCTOR
    status = MigrationStatus.ACCEPTED

    def do(self, context: StepContext) -> Facts:
        """Facts: the chosen host's name."""
        with writing() as session:
            migration = migrations.lock(session, context.migration.id)
            dead = dead_source(session, migration.source_host, context.settings.scheduler.service_down_time_s)
            if dead is not None:
                raise dead
            instance = session.get_one(Instance, migration.instance_uuid)
            return {"host": choose_and_reserve(session, migration, instance)}

    def undo(self, context: StepContext, facts: Facts | None) -> None:
        """Absent is fine."""
        del facts
        with writing() as session:
            reservations.release(session, context.migration)

    def on_done(self, session: Session, migration: Migration, facts: Facts) -> None:
        """Route the later steps to the chosen host."""
        from lmigrate.migration.steps import STEPS  # noqa: PLC0415 - the list of steps holds this one

        migration.dest_host = facts["host"]
        names = [step.name for step in STEPS if step.side is Side.DESTINATION]
        journal.route(session, migration, names, facts["host"])


def dead_source(session: Session, name: str, down_time_s: float) -> ComputeServiceUnavailable | None:
    """Why nobody on the source could let the guest go, or None."""
    source = hosts.by_name(session, name)
    down = "it has never registered" if source is None else hosts.why_down(source, utcnow(), down_time_s)
    return None if down is None else ComputeServiceUnavailable(host=name, reason=down)
