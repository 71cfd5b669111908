"""When the inventory is taken: at the start, now and then, and soon after each event."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable

import structlog

from lmigrate import clock
from lmigrate.db.availability import UNAVAILABLE
from lmigrate.errors import HypervisorError
from lmigrate.host.inventory import Inventory
from lmigrate.log import bound

log = structlog.get_logger(__name__)

#: events come in bunches (defined, started, resumed): look once at the end of the bunch
DEBOUNCE_S = 0.1
#: how soon the record of a guest follows when its migration has ended
BUSY_CHECK_S = 2.0
RETRY_S = 5.0


class InventoryThread:
    """Runs an Inventory in one thread.  ``notice`` and ``ask_full`` may be called from any other."""

    def __init__(self, inventory: Inventory, before_full: Callable[[], None], interval_s: float) -> None:
        self._inventory = inventory
        self._before_full = before_full  # refreshes the host's own row
        self._interval_s = interval_s
        self._noticed: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self._busy: set[str] = set()
        self._next_full_s = clock.monotonic_s()
        self._is_stopped = threading.Event()
        self._thread: threading.Thread | None = None
        self.on_no_answer: Callable[[], None] = lambda: None  # libvirtd did not answer

    def start(self, **context: str) -> None:
        """Begin with a full comparison; ``context`` goes with every line of the log."""
        self._thread = threading.Thread(target=self._run, kwargs=context, name="inventory", daemon=True)
        self._thread.start()

    def stop(self, wait_s: float = 0.0) -> None:
        """Look no more; a look that is under way may end within ``wait_s``."""
        self._is_stopped.set()
        self._noticed.put(None)
        if self._thread is not None:
            self._thread.join(wait_s)

    def notice(self, uuid: str) -> None:
        """Something happened to this guest.  Never blocks: libvirt's event thread calls it."""
        self._noticed.put(uuid)

    def ask_full(self) -> None:
        """Compare everything soon."""
        self._next_full_s = clock.monotonic_s()
        self._noticed.put(None)

    def turn(self, uuids: set[str]) -> None:
        """One turn of the loop: everything if it is time, else what has been noticed."""
        if clock.monotonic_s() >= self._next_full_s:
            self._next_full_s = clock.monotonic_s() + self._interval_s
            self._before_full()
            self._inventory.compare_all()
        elif uuids:
            self._inventory.refresh(uuids)
        still_busy = self._inventory.busy()
        self._inventory.refresh(self._busy - still_busy)
        self._busy = still_busy

    def _run(self, **context: str) -> None:
        with bound(**context):
            while not self._is_stopped.is_set():
                self._turn_or_log(self._wait())

    def _wait(self) -> set[str]:
        """Sleep until something is noticed or due; what was noticed."""
        due_s = max(0.0, self._next_full_s - clock.monotonic_s())
        try:
            first = self._noticed.get(timeout=min(due_s, BUSY_CHECK_S) if self._busy else due_s)
        except queue.Empty:
            return set()
        noticed = {first}
        self._is_stopped.wait(DEBOUNCE_S)
        while not self._noticed.empty():
            noticed.add(self._noticed.get())
        return {uuid for uuid in noticed if uuid is not None}

    def _turn_or_log(self, uuids: set[str]) -> None:
        try:
            self.turn(uuids)
        except HypervisorError as error:
            self._later("libvirt could not be asked for its domains; trying again", str(error))
            self.on_no_answer()
        except UNAVAILABLE as error:
            self._later("the inventory could not be written; trying again", type(error).__name__)
        except Exception:
            # A fault in one turn must not blind the daemon for good.
            log.exception("the inventory failed; trying again")
            self._next_full_s = clock.monotonic_s() + RETRY_S

    def _later(self, message: str, reason: str) -> None:
        """What was noticed is lost now, so compare everything."""
        self._next_full_s = clock.monotonic_s() + RETRY_S
        log.warning(message, reason=reason)
