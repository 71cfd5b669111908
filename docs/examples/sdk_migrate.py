"""Move a running guest with openstacksdk, and say how it went: `OS_CLOUD=lmigrate-none python sdk_migrate.py GUEST [HOST]`."""

from __future__ import annotations

import sys
import time

import openstack

ENDS = {"completed", "failed", "cancelled", "error"}


def main(guest: str, host: str | None = None) -> str:
    """Begin the migration, follow it to its end, and return how it ended."""
    compute = openstack.connect().compute
    server = compute.find_server(guest, ignore_missing=False)
    compute.live_migrate_server(server, host=host, block_migration="auto")  # raises when a check refuses it, and says why
    # wait_for_server() cannot tell a failed migration from one that succeeded: the migration itself can
    while (newest := next(compute.migrations(instance_uuid=server.id))).status not in ENDS:
        print(f"migration {newest.id}: {newest.status}")
        time.sleep(1)
    print(f"migration {newest.id} {newest.status}: {guest} is on {compute.get_server(server.id).compute_host}")
    return str(newest.status)


if __name__ == "__main__":
    try:
        sys.exit(main(*sys.argv[1:]) != "completed")
    except openstack.exceptions.SDKException as error:  # no such guest, no such host, a check that refused, no API
        sys.exit(f"not migrated: {error}")
