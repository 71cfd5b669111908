"""Finding a host by what Nova's wire calls it: a number up to 2.52, a UUID from 2.53."""

from __future__ import annotations

from api.errors import NotFound
from api.microversions import at_least
from api.pagination import MarkerNotFound
from lmigrate.db.models import Host
from lmigrate.db.session import Session
from lmigrate.db.stores import hosts_view
from lmigrate.errors import RequestError
from lmigrate.ids import is_uuid


class InvalidUuid(RequestError):
    """Invalid uuid {value}"""


def hypervisor(session: Session, reference: str) -> Host:
    """The host that the wire calls ``reference``.

    Raises:
        InvalidUuid: from 2.53, when it is not a UUID.
        NotFound: there is none.
    """
    if at_least("2.53") and not is_uuid(reference):
        raise InvalidUuid(value=reference)
    found = _find(session, reference)
    if found is None:
        raise NotFound(f"Hypervisor with ID '{reference}' could not be found.")
    return found


def marker(session: Session, reference: str) -> Host:
    """The host after which a page begins.

    Raises:
        MarkerNotFound: there is none.
    """
    found = _find(session, reference)
    if found is None:
        raise MarkerNotFound(marker=f"[{reference}]")
    return found


def _find(session: Session, reference: str) -> Host | None:
    if at_least("2.53"):
        return hosts_view.by_uuid(session, reference)
    is_number = reference.isascii() and reference.isdigit() and len(reference) < 19
    return hosts_view.by_id(session, int(reference)) if is_number else None
