"""Volumes become known to lmigrate: the API writes them down, the storage daemon looks whether they exist.

SQL carries the question and the answer; the message between the two is a hint that
the sweep makes up for.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from lmigrate import clock
from lmigrate.config import Settings, StorageSettings
from lmigrate.db.models import Volume
from lmigrate.db.session import Session, reading, writing
from lmigrate.db.stores import registration
from lmigrate.errors import InvalidInput, LmigrateError, StorageError, StorageUnavailable, VolumeExists
from lmigrate.states import VolumeState
from lmigrate.storage.circuit import asking
from lmigrate.storage.drivers.audit import Locating
from lmigrate.storage.drivers.base import Driver, VolumeRef
from lmigrate.storage.drivers.registry import driver_of

#: a registration that is older has lost its message
RESEND_AFTER = timedelta(seconds=10)
_POLL_S = 0.05


def begin(options: StorageSettings, backend: str, name: str, location: dict[str, Any] | None, source_name: str | None) -> str:
    """Write the volume down; its UUID.

    Raises:
        InvalidInput: there is no such backend, or neither or both of location and source name.
        VolumeExists: a volume of that source name is registered.
    """
    if backend not in options.backends:
        known = ", ".join(sorted(options.backends)) or "none"
        raise InvalidInput(field="backend", value=backend, remedy=f"The settings (storage.backends) know: {known}.")
    if (location is None) == (source_name is None):
        raise InvalidInput(field="source_name", value=source_name, remedy="Say either location or source_name.")
    with writing() as session:
        if source_name is not None:
            _require_free(session, source_name)
        return registration.begin(session, backend, name, location or {}, source_name).uuid


def wait(uuid: str, timeout_s: float) -> VolumeState:
    """The state when the storage daemon has answered, REGISTERING if it has not in time."""
    deadline = clock.monotonic_s() + timeout_s
    while True:
        with reading() as session:
            row = session.get(Volume, uuid)
        state = VolumeState.ERROR if row is None else row.state
        if state is not VolumeState.REGISTERING or clock.monotonic_s() > deadline:
            return state
        clock.sleep_s(_POLL_S)


def verify(uuid: str, settings: Settings) -> str:
    """Look whether the storage has the volume, and how large it is; what came out, in a sentence."""
    with reading() as session:
        row = session.get(Volume, uuid)
    if row is None or row.state is not VolumeState.REGISTERING or row.backend != settings.storage.serves:
        return f"volume {uuid}: nothing to verify"
    try:
        driver = driver_of(row.backend, settings.storage)
        with asking(row.backend):
            location, source_name, size_bytes = _look(row, driver)
        with writing() as session:
            _require_free(session, source_name, besides=uuid)
            registration.finish(session, uuid, location, source_name, size_bytes)
    except StorageUnavailable as error:
        return f"volume {uuid} is still to be registered, and asked for again by the sweep: {error}"  # silence is no refusal
    except LmigrateError as error:
        with writing() as session:
            registration.fail(session, uuid, str(error))
        return f"volume {uuid} refused: {error}"
    return f"volume {uuid} is {source_name} of {row.backend}, {size_bytes} bytes"


def _look(row: Volume, driver: Driver) -> tuple[dict[str, Any], str, int]:
    location = row.location or _locate(row, driver)
    volume = VolumeRef(row.uuid, location)
    try:
        return location, driver.source_name(volume), driver.size_bytes(volume)
    except KeyError as error:
        raise StorageError(backend=row.backend, reason=f"a location needs {error}") from error


def _locate(row: Volume, driver: Driver) -> dict[str, Any]:
    if not isinstance(driver, Locating):
        raise StorageError(backend=row.backend, reason="its driver cannot find a volume by name: register it with its location")
    return driver.locate(row.source_name)


def _require_free(session: Session, source_name: str, besides: str | None = None) -> None:
    other = registration.namesake(session, source_name, besides)
    if other is not None:
        raise VolumeExists(source=source_name, volume=other.uuid, name=other.name, backend=other.backend)
