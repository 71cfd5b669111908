"""A raw disk of a domain on another host, read through that host's libvirtd.

For small read-only media, of which QEMU's own copy refuses to take any.  It is the door that
the migration itself goes through (same port, same certificates); nothing is started on the
other host, so that nothing can be left there.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import libvirt

from lmigrate.virt.connection import Connection, translated

#: libvirt's limit for one answer (REMOTE_DOMAIN_BLOCK_PEEK_BUFFER_MAX) is four times this
CHUNK_BYTES = 1 << 20


def read_disk(uri: str, uuid: str, device_name: str, size_bytes: int, deadline_s: float) -> Iterator[bytes]:
    """The first ``size_bytes`` of the disk, in pieces; ``deadline_s`` holds for each.

    Raises:
        HypervisorError: the host does not answer or refuses; or the disk is shorter.
    """
    connection = Connection(uri, uri, deadline_s)
    try:
        for offset in range(0, size_bytes, CHUNK_BYTES):
            length = min(CHUNK_BYTES, size_bytes - offset)
            yield connection.call("blockPeek", partial(_peek, uuid, device_name, offset, length))
    except libvirt.libvirtError as error:
        raise translated(error, uri) from error
    finally:
        connection.close()


def _peek(uuid: str, device_name: str, offset: int, length: int, opened: libvirt.virConnect) -> bytes:
    return opened.lookupByUUIDString(uuid).blockPeek(device_name, offset, length)  # libvirt refuses what lies beyond the end
