"""The driver of a backend, by its name in the settings."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from lmigrate.config import StorageSettings
from lmigrate.errors import StorageError
from lmigrate.storage.drivers.base import Driver
from lmigrate.storage.drivers.cinder import CinderDriver
from lmigrate.storage.drivers.directory import LocalDriver, SharedDirectoryDriver
from lmigrate.storage.drivers.iscsi_tgt import IscsiTgtDriver
from lmigrate.storage.drivers.nbd import NbdDriver
from lmigrate.storage.drivers.rbd import RbdDriver

#: `driver` in the settings → the class that is made from the backend's name and its options
DRIVERS: dict[str, Callable[[str, Any], Driver]] = {
    "iscsi-tgt": IscsiTgtDriver,
    "shared-directory": SharedDirectoryDriver,
    "local": LocalDriver,
    "nbd": NbdDriver,
    "rbd": RbdDriver,
    "cinder": CinderDriver,
}


def driver_of(name: str, options: StorageSettings) -> Driver:
    """The driver.

    Raises:
        StorageError: the settings know no such backend.
    """
    backend = options.backends.get(name)
    if backend is None:
        raise StorageError(backend=name, reason="there is no such backend in the settings (storage.backends)")
    return DRIVERS[backend.driver](name, backend)
