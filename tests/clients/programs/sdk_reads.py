"""Runs in a client's environment: everything about live migration that openstacksdk can read, as JSON."""

from __future__ import annotations

import json
import sys

import openstack


def main(guest_name: str) -> None:
    """What the SDK's objects say; ``guest_name`` is on its way."""
    compute = openstack.connect().compute
    guest = compute.find_server(guest_name, ignore_missing=False)
    moves = list(compute.server_migrations(guest))
    found = {
        "servers": sorted(server.name for server in compute.servers(limit=1)),  # page after page
        "by name": [server.name for server in compute.servers(sort_key="display_name", sort_dir="asc", limit=1)],
        "guest": [guest.compute_host, guest.status, guest.task_state, guest.progress],
        "in progress": [[move.id, move.status, move.memory_remaining_bytes] for move in moves],
        "one in progress": compute.get_server_migration(guest, moves[0].id).dest_compute,
        "migrations": [[move.id, move.status, move.migration_type] for move in compute.migrations(limit=1)],
        "of the guest": [move.id for move in compute.migrations(instance_uuid=guest.id)],
        "actions": [action.action for action in compute.server_actions(guest)],
        "hosts": sorted([host.name, host.state] for host in compute.hypervisors(details=True)),
        "services": sorted([service.host, service.status] for service in compute.services()),
    }
    json.dump(found, sys.stdout)


if __name__ == "__main__":
    main(*sys.argv[1:])
