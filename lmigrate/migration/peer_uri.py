"""Where one host's libvirtd and QEMU find another's.

The address comes from the other host's record, which that host writes itself: nothing but an address
gets into a URI, in which a query could switch the check of certificates off (``?no_verify=1``).
"""

from __future__ import annotations

from lmigrate.errors import HostError
from lmigrate.ids import is_address


class UnsafeAddress(HostError):
    """What host {host} calls its address, {address!r}, is neither a name nor an IP address: correct its host.migration_address."""


def libvirt_uri(host: str, address: str, *, tls: bool) -> str:
    """libvirtd of ``host`` at ``address``.

    Raises:
        UnsafeAddress: it is no address.
    """
    return f"qemu+{'tls' if tls else 'tcp'}://{_netloc(host, address)}/system"


def qemu_uri(host: str, address: str) -> str:
    """QEMU on ``host``, for the guest's memory; libvirt chooses the port.

    Raises:
        UnsafeAddress: it is no address.
    """
    return f"tcp://{_netloc(host, address)}"


def _netloc(host: str, address: str) -> str:
    if not is_address(address):
        raise UnsafeAddress(host=host, address=address)
    return f"[{address}]" if ":" in address else address
