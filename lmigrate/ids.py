"""Identifiers: how they are made and what they may look like."""

from __future__ import annotations

import re
import uuid
from ipaddress import ip_address

# A host's name goes into a URI, a queue name and a file name.  RFC 1123 labels; Nova
# allows more (`^[\w\-\.:]+$`), but ':' and '_' have a meaning of their own in those places.
HOST_NAME = re.compile(r"(?=.{1,63}\Z)[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?)*\Z")
_DNS_NAME = re.compile(
    r"(?=.{1,253}\Z)[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?)*\Z", re.ASCII
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
