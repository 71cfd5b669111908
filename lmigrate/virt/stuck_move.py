"""What QEMU alone knows of a move that has failed, and what lets it and libvirt go on after it.

Both wait for ever after some moves; seen with QEMU 7.2 and libvirt 9.0, when a move is cancelled (by its owner, or by libvirt
because the destination is gone) at the moment at which it stops the guest:

- QEMU looks whether it was cancelled, lets go of its lock, and waits for libvirt to permit the switchover (`migration_maybe_pause`
  in migration/migration.c).  A cancel that comes between the two wakes nobody: the guest stands still, `query-migrate` says
  "cancelling".  The permission to go on in that state is what it waits for.
- libvirt asks the copies of disks to end and waits for them; one that has nothing left to write to a destination that is gone
  never does.  It is ended by force.

Both only after the job has failed: there is nothing to lose.  libvirt has no call for either, nor for whether the memory is away
once it was restarted, so that the monitor is used, which marks the domain as tainted (custom-monitor) until it ends.
"""

from __future__ import annotations

import json
from typing import Any

import libvirt
import libvirt_qemu


def free(domain: libvirt.virDomain) -> list[str]:
    """Let a failed move of ``domain`` come to its end; a sentence for each thing done."""
    done = []
    if _ask(domain, "query-migrate").get("status") == "cancelling":
        _ask(domain, "migrate-continue", state="cancelling")
        done.append("QEMU waited for the permission to switch over after its move was cancelled: given")
    for job in _ask(domain, "query-block-jobs"):
        if job["type"] == "mirror" and job["status"] in {"running", "ready"}:
            _ask(domain, "block-job-cancel", device=job["device"], force=True)
            done.append(f"the copy of {job['device']} to a destination that is gone did not end: ended by force")
    return done


def has_sent_memory(domain: libvirt.virDomain) -> bool:
    """Whether QEMU's migration is completed: its memory is all away, whatever libvirt still knows of it."""
    return bool(_ask(domain, "query-migrate").get("status") == "completed")


def _ask(domain: libvirt.virDomain, command: str, **arguments: Any) -> Any:
    text = json.dumps({"execute": command, **({"arguments": arguments} if arguments else {})})
    answer = json.loads(libvirt_qemu.qemuMonitorCommand(domain, text, libvirt_qemu.VIR_DOMAIN_QEMU_MONITOR_COMMAND_DEFAULT))
    return answer.get("return", {})
