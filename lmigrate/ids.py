"""Identifiers: how they are made and what they may look like."""

from __future__ import annotations

import re
import uuid
from ipaddress import ip_address

from lmigrate.urls import is_port

# A host's name goes into a URI, a queue name and a file name.  RFC 1123 labels; Nova
# allows more (`^[\w\-\.:]+$`), but ':' and '_' have a meaning of their own in those places.
HOST_NAME = re.compile(r"(?=.{1,63}\Z)[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?)*\Z")
_DNS_NAME = re.compile(
    r"(?=.{1,253}\Z)[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?)*\Z", re.ASCII
)

#: of an initiator or a target: RFC 3720's three kinds. It goes into XML and into lists that commas divide
_ISCSI_NAME = re.compile(
    r"(?=.{1,223}\Z)(iqn\.\d{4}-\d\d\.[A-Za-z0-9.-]+(:[A-Za-z0-9.:_-]+)?|eui\.[0-9A-Fa-f]{16}|naa\.([0-9A-Fa-f]{16}){1,2})\Z", re.ASCII
)


def new_uuid() -> str:
    """A random UUID in its canonical text form."""
    return str(uuid.uuid4())


def new_request_id() -> str:
    """A request id as OpenStack's clients expect it: ``req-`` and a UUID."""
    return f"req-{uuid.uuid4()}"


def is_uuid(text: str) -> bool:
    """Whether ``text`` is a UUID in its canonical form (any case)."""
    try:
        return str(uuid.UUID(text)) == text.lower()
    except ValueError:
        return False


def is_host_name(text: str) -> bool:
    """Whether ``text`` may be the name of a host.

    One that ends in ``.migrate`` may not: the queue of its short steps would be that of another's moves.
    """
    return HOST_NAME.match(text) is not None and not text.lower().endswith(".migrate")


def is_address(text: str) -> bool:
    """Whether ``text`` may be where a host is reached: a DNS name or an IP address, without port, brackets or zone."""
    try:
        ip_address(text)
    except ValueError:
        return _DNS_NAME.match(text) is not None
    return "%" not in text


def is_iscsi_name(text: str) -> bool:
    """Whether ``text`` may be the name of an iSCSI initiator or target."""
    return _ISCSI_NAME.match(text) is not None


def endpoint(text: str, default_port: int) -> tuple[str, int]:
    """Address and port of ``10.0.0.1``, ``san:3260``, ``fd00::1`` or ``[fd00::1]:3260``.

    Raises:
        ValueError: it is none of these.
    """
    host, colon, port = text.rpartition(":")
    if not colon or port.endswith("]") or is_address(text):
        host, port = text, str(default_port)
    host = host.removeprefix("[").removesuffix("]") if host.startswith("[") == host.endswith("]") else ""
    if not is_address(host) or not is_port(port):
        raise ValueError("an address is needed, with :port if it is another than usual, such as 10.0.0.1:3260 or [fd00::1]:3260")
    return host, int(port)
