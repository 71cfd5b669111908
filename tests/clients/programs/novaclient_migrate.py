"""Runs in a client's environment: a live migration with python-novaclient at its newest version, where checks are answered for later."""

from __future__ import annotations

import json
import sys
import time

from novaclient_reads import connect

ENDS = {"completed", "failed", "cancelled", "error"}


def main(guest_name: str, host: str) -> None:
    """Ask, wait for the end, and print the status and every reason that the instance's action gives."""
    nova = connect()
    guest = nova.servers.find(name=guest_name)
    nova.servers.live_migrate(guest, host, "auto")
    while (newest := nova.migrations.list(instance_uuid=guest.id)[0]).status not in ENDS:
        time.sleep(0.2)
    action = nova.instance_action.get(guest, nova.instance_action.list(guest)[0].request_id)
    json.dump({"status": newest.status, "message": action.message, "details": [event["details"] for event in action.events]}, sys.stdout)


if __name__ == "__main__":
    main(*sys.argv[1:])
