"""The bare thing, for comparison: migrateToURI3 over one open connection, and nothing else.

Runs inside a lab host.  Reads lines `UUID DESTINATION tls|tcp` from standard input, moves
that domain there peer to peer, and writes the milliseconds that the call took.
"""

from __future__ import annotations

import sys
import time

import libvirt

UNDEFINE_SOURCE = 16  # VIR_MIGRATE_UNDEFINE_SOURCE; lmigrate itself never uses it, so its stubs do not have it
FLAGS = (
    libvirt.VIR_MIGRATE_LIVE
    | libvirt.VIR_MIGRATE_PEER2PEER
    | libvirt.VIR_MIGRATE_PERSIST_DEST
    | UNDEFINE_SOURCE
    | libvirt.VIR_MIGRATE_UNSAFE
)


def migrate(connection: libvirt.virConnect, uuid: str, destination: str, transport: str) -> float:
    """Milliseconds of one call."""
    flags = FLAGS | (libvirt.VIR_MIGRATE_TLS if transport == "tls" else 0)
    domain = connection.lookupByUUIDString(uuid)
    params = {libvirt.VIR_MIGRATE_PARAM_URI: f"tcp://{destination}"}
    began = time.perf_counter()
    domain.migrateToURI3(f"qemu+{transport}://{destination}/system", params, flags)
    return (time.perf_counter() - began) * 1000


def main() -> None:
    """One line in, one number out."""
    connection = libvirt.open("qemu:///system")
    print("ready", flush=True)
    for line in sys.stdin:
        uuid, destination, transport = line.split()
        print(f"{migrate(connection, uuid, destination, transport):.3f}", flush=True)


if __name__ == "__main__":
    main()
