"""Runs in a client's environment: openstacksdk and python-novaclient end a running migration, or make it come to its end."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable

import openstack
from novaclient_reads import connect


def main(guest_name: str, *asked: str) -> None:
    """What was done to the guest then, as the SDK lists it.

    ``guest_name`` is on its way; each of ``asked`` is sdk-force, nova-force, sdk-abort or nova-abort.
    """
    compute, nova = openstack.connect().compute, connect()
    guest = compute.find_server(guest_name, ignore_missing=False)
    (move,) = compute.server_migrations(guest)
    ways: dict[str, Callable[[], object]] = {
        "sdk-force": lambda: compute.force_complete_server_migration(move, guest),
        "nova-force": lambda: nova.server_migrations.live_migrate_force_complete(guest.id, move.id),
        "sdk-abort": lambda: compute.abort_server_migration(move, guest, ignore_missing=False),
        "nova-abort": lambda: nova.server_migrations.live_migration_abort(guest.id, move.id),
    }
    for one in asked:
        ways[one]()
    json.dump(sorted(action.action for action in compute.server_actions(guest)), sys.stdout)


if __name__ == "__main__":
    main(*sys.argv[1:])
