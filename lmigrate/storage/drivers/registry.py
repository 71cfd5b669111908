"""The driver of a backend, by its name in the settings."""

from __future__ import annotations

from lmigrate.config import StorageSettings
from lmigrate.errors import StorageError
from lmigrate.storage.drivers.base import Driver
from lmigrate.storage.drivers.iscsi_tgt import IscsiTgtDriver


def driver_of(name: str, options: StorageSettings) -> Driver:
    """The driver.

    Raises:
        StorageError: the settings know no such backend.
    """
    backend = options.backends.get(name)
    if backend is None:
        raise StorageError(backend=name, reason="there is no such backend in the settings (storage.backends)")
    return IscsiTgtDriver(name, backend)
