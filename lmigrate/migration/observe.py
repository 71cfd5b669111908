"""Looks at the guest on this host, and writes down what was seen for the conductor to decide by."""

from __future__ import annotations

from collections.abc import Callable

from lmigrate.db.session import reading, writing
from lmigrate.db.stores import migrations, observations
from lmigrate.migration.look import look
from lmigrate.migration.steps.base import Side
from lmigrate.virt.protocol import Hypervisor


def observe(side: Side, migration_id: int, round_number: int, host: str, connect: Callable[[], Hypervisor]) -> str:
    """Answer one look of one round; a late answer to an older round is nobody's business.

    Raises:
        HypervisorError: libvirt does not answer; the conductor asks again.
    """
    with reading() as session:
        migration = migrations.get(session, migration_id)
        instance_uuid, uuid, current = migration.instance_uuid, migration.uuid, migration.observe_round
    if current != round_number:
        return f"round {round_number} is over"
    seen = look(connect(), instance_uuid, uuid)
    with writing() as session:
        observations.put(session, migration_id, side.value, round_number, host=host, seen=seen.as_facts())
    return f"{host} ({side.value}): {seen}"
