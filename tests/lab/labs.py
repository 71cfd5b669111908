"""The labs of a test session: each comes up when a test first asks for it, and all go down at the end."""

from __future__ import annotations

import secrets
from pathlib import Path

from lmigrate.lab import processes
from lmigrate.lab.options import LabOptions
from lmigrate.lab.paths import lab_root
from lmigrate.lab.topology import Lab, remove

#: short intervals, so that recovery is waited for in seconds
SETTINGS = {
    "LMIGRATE_CONDUCTOR__RECONCILE_INTERVAL_S": "1",
    "LMIGRATE_CONDUCTOR__RESEND_AFTER_S": "3",
    "LMIGRATE_MIGRATION__LEASE_S": "4",
    "LMIGRATE_MIGRATION__PROGRESS_INTERVAL_S": "0.5",
    "LMIGRATE_MIGRATION__POLL_INTERVAL_S": "0.2",
    "LMIGRATE_HOST__HEARTBEAT_INTERVAL_S": "1",
    "LMIGRATE_HOST__LIBVIRT_DEADLINE_S": "4",
    "LMIGRATE_SCHEDULER__SERVICE_DOWN_TIME_S": "6",
}
#: how often a guest of the tests counts: each line costs some eighty exits from KVM, and 20 guests at 20 Hz took both cores
TICKS_HZ = 5.0
SMALL_HOST, SMALL_HOST_MIB = "node7", 16  # no guest fits


class Labs:
    """``shared`` has node5, node6 and the small node7 over one instances directory; ``private`` has node5 and node6 with one each."""

    def __init__(self, database: str) -> None:
        self._database = database
        self._started: dict[str, Lab] = {}

    def get(self, kind: str) -> Lab:
        """The lab of that kind, up and with its links mended."""
        if kind not in self._started:
            self._started[kind] = Lab.up(self._options(kind))
        return self._started[kind]

    def down(self) -> None:
        """Remove all; raise if anything is left of one."""
        ids = [lab.options.lab_id for lab in self._started.values()]
        for lab_id in ids:
            remove(lab_id)
        for lab_id in ids:
            _assert_nothing_left(lab_root() / lab_id)

    def _options(self, kind: str) -> LabOptions:
        small = {SMALL_HOST: SMALL_HOST_MIB} if kind == "shared" else {}
        return LabOptions(
            lab_id=f"{kind[:2]}-{secrets.token_hex(3)}",
            hosts=("node5", "node6", *small),
            instances=kind,
            database=self._database,
            memory_mib=small,
            env=SETTINGS,
        )


def _assert_nothing_left(directory: Path) -> None:
    assert not directory.exists()
    assert processes.of_labs(directory) == {}
    assert str(directory) not in Path("/proc/self/mounts").read_text()
    naming = {pid: processes.argv_of(pid) for pid in processes.all_pids() if any(str(directory) in word for word in processes.argv_of(pid))}
    assert naming == {}
