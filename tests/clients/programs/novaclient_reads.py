"""Runs in a client's environment: everything about live migration that python-novaclient can read, as JSON.

Its command `nova` knows no other authentication than Keystone's; its library takes any session.
"""

from __future__ import annotations

import json
import os
import sys
from typing import Any

from keystoneauth1 import loading, session
from novaclient import client


def connect(version: str = "2.96") -> client.Client:
    """A client of the API that OS_AUTH_TYPE, OS_ENDPOINT and their like name."""
    options = {name.removeprefix("OS_").lower(): value for name, value in os.environ.items() if name.startswith("OS_")}
    loader: Any = loading.get_plugin_loader(options["auth_type"])
    names = {option.dest for option in loader.get_options()}
    plugin = loader.load_from_options(**{name: value for name, value in options.items() if name in names})
    return client.Client(version, session=session.Session(auth=plugin), endpoint_override=options["endpoint"])


def main(guest_name: str) -> None:
    """What its objects say; ``guest_name`` is on its way."""
    nova = connect()
    (guest,) = nova.servers.list(search_opts={"name": f"^{guest_name}$"})
    (move,) = nova.server_migrations.list(guest)
    found = {
        "guest": [getattr(guest, "OS-EXT-SRV-ATTR:host"), guest.status],
        "in progress": [move.id, move.status, nova.server_migrations.get(guest, move.id).memory_remaining_bytes],
        "migrations": [[row.id, row.status] for row in nova.migrations.list()],
        "actions": [action.action for action in nova.instance_action.list(guest)],
        "hosts": sorted([host.hypervisor_hostname, host.state] for host in nova.hypervisors.list()),
        "services": sorted([service.host, service.status] for service in nova.services.list(binary="nova-compute")),
    }
    json.dump(found, sys.stdout)


if __name__ == "__main__":
    main(*sys.argv[1:])
