"""Runs in a client's environment: openstacksdk and python-novaclient make a running migration come to its end, and end it.

Each asks for both: asked for twice it is once.
"""

from __future__ import annotations

import json
import sys

import openstack
from novaclient_reads import connect


def main(guest_name: str) -> None:
    """What was done to the guest then, as the SDK lists it; ``guest_name`` is on its way."""
    compute, nova = openstack.connect().compute, connect()
    guest = compute.find_server(guest_name, ignore_missing=False)
    (move,) = compute.server_migrations(guest)
    compute.force_complete_server_migration(move, guest)
    nova.server_migrations.live_migrate_force_complete(guest.id, move.id)
    compute.abort_server_migration(move, guest, ignore_missing=False)
    nova.server_migrations.live_migration_abort(guest.id, move.id)
    json.dump(sorted(action.action for action in compute.server_actions(guest)), sys.stdout)


if __name__ == "__main__":
    main(*sys.argv[1:])
