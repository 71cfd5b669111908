"""What this host tells the storage, and the scheduler, of how it reaches volumes."""

from __future__ import annotations

import json

from lmigrate import shell
from lmigrate.config import HostSettings
from lmigrate.shell import CommandFailed
from lmigrate.storage.drivers.base import Connector

#: what volumes of the backends are reached by, as libvirt and QEMU call it
PROTOCOLS = ("iscsi", "nbd", "rbd")
_DEADLINE_S = 10.0


def find_connector(options: HostSettings) -> Connector:
    """Look at this host."""
    protocols = tuple(protocol for protocol in PROTOCOLS if speaks(protocol))
    return Connector(options.name, options.initiator, options.address, protocols=protocols, multipath=has_multipath())


def speaks(protocol: str) -> bool:
    """Whether QEMU here has the block driver; Debian keeps some in packages of their own (qemu-block-extra).

    Its list of formats names drivers whose module is not installed, too.  So it is asked to open one without saying
    where: one that it has complains of what is missing, one that it has not is an unknown driver.
    """
    try:
        shell.run(["qemu-img", "info", f"json:{json.dumps({'driver': protocol})}"], timeout_s=_DEADLINE_S)
    except CommandFailed as error:
        reason = str(error.fields["reason"])
        return reason.startswith("exit") and "Unknown driver" not in reason and "Failed to open module" not in reason
    return True


def has_multipath() -> bool:
    """Whether multipathd runs, as os-brick asks: only the kernel's initiator has several paths, QEMU's own has one."""
    try:
        answer = shell.run(["multipathd", "show", "status"], timeout_s=_DEADLINE_S)
    except CommandFailed:
        return False
    return not answer.startswith("error receiving packet")
