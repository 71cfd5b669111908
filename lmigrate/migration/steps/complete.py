"""Close the books."""

from __future__ import annotations

from lmigrate.db.models import Migration
from lmigrate.db.session import Session
from lmigrate.db.stores import actions, migrations
from lmigrate.migration.steps.base import Facts, Side, Step, StepContext
from lmigrate.states import MigrationStatus


class Complete(Step):
    """End the migration: the instance is idle, nothing is reserved.

    Do:        nothing in the world; the records change with the journal's last line.
    Undo:      there is no way back.
    If killed: the second run does the same.
    Because:   "completed" must mean that nothing is left to do.
    """

    name = "complete"
    side = Side.CONDUCTOR
    status = MigrationStatus.POST_MIGRATING
    is_bookkeeping = True

    def do(self, context: StepContext) -> Facts:
        """No facts."""
        del context
        return {}

    def on_done(self, session: Session, migration: Migration, facts: Facts) -> None:
        """Terminal: completed."""
        del facts
        if migration.abort_requested_at is not None:
            late = f"the abort came too late: the guest had already moved to {migration.dest_host}"
            actions.record(session, migration, actions.CANCEL, late, result="Error")
        migrations.end(session, migration, MigrationStatus.COMPLETED)
        actions.close(session, migration, failed=False)
