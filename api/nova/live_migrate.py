"""``os-migrateLive``: from Nova's words to a request of ours.

A named host is always what the scheduler has to confirm; only ``force`` (2.30 to 2.67) skips it.
(Nova lets a host that is named before 2.30 skip the scheduler too; here nobody gets past the
checks without having said so.)  Before 2.34 the answer waits for the checks and carries their error.
"""

from __future__ import annotations

from typing import Any

from api import caller, request_ids
from api.microversions import at_least
from api.nova.operation import operation
from api.nova.schemas.live_migrate import LIVE_MIGRATE
from lmigrate.config import settings
from lmigrate.errors import RequestError
from lmigrate.migration.request import LiveMigrationRequest, request_live_migration, wait_for_prechecks
from tasks.dispatcher import CeleryDispatcher


class ForceWithoutHost(RequestError):
    """Can't force to a non-provided destination"""


@operation("POST", "/servers/<server_id>/action", body=LIVE_MIGRATE, status=202)
def live_migrate(server_id: str, body: Any) -> None:
    """Move a running server to another host (``os-migrateLive``)."""
    wanted = _request(server_id, body.request)
    migration_id = request_live_migration(wanted, CeleryDispatcher())
    if not at_least("2.34"):
        wait_for_prechecks(migration_id, settings().migration.sync_precheck_timeout_s)


def _request(server_id: str, asked: Any) -> LiveMigrationRequest:
    who = caller.current()
    return LiveMigrationRequest(
        instance_uuid=server_id.lower(),
        host=asked.host,
        block_migration=None if asked.block_migration == "auto" else asked.block_migration,
        disk_over_commit=getattr(asked, "disk_over_commit", None),
        is_forced=_is_forced(asked),
        user_id=who.user_id,
        project_id=who.project_id,
        request_id=request_ids.current(),
    )


def _is_forced(asked: Any) -> bool:
    forced: bool = getattr(asked, "force", False)
    if forced and asked.host is None:
        raise ForceWithoutHost
    return forced
