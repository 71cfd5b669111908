"""Since when the machine runs and how busy it is, in the words of uptime(1): Nova's clients take that sentence apart."""

from __future__ import annotations

import os
import struct
from datetime import datetime, timedelta
from pathlib import Path

_UPTIME = Path("/proc/uptime")
_UTMP = Path("/run/utmp")
#: utmp(5): 384 bytes a record, its type in front; 7 is a user who is logged in
_RECORD = struct.Struct("=h382x")
_USER_PROCESS = 7


def current(now: datetime) -> str:
    """The sentence for this machine.  Reads no disk, so that it cannot hang with one."""
    running = timedelta(seconds=int(float(_UPTIME.read_text().split()[0])))
    return sentence(now, running, _users(), os.getloadavg())


def sentence(now: datetime, running: timedelta, users: int, load: tuple[float, float, float]) -> str:
    """`` 08:32:11 up 93 days, 18:25,  12 users,  load average: 0.20, 0.12, 0.14``; the time is UTC."""
    days, (hours, minutes) = running.days, divmod(running.seconds // 60, 60)
    told = (f"{days} day{'s' * (days > 1)}, " if days else "") + (f"{hours:2}:{minutes:02}" if hours else f"{minutes} min")
    loads = ", ".join(f"{one:.2f}" for one in load)
    return f" {now:%H:%M:%S} up {told},  {users} user{'s' * (users != 1)},  load average: {loads}"


def _users() -> int:
    try:
        data = _UTMP.read_bytes()
    except FileNotFoundError:  # no login has been kept since the machine started
        return 0
    whole = len(data) - len(data) % _RECORD.size
    return sum(kind == _USER_PROCESS for (kind,) in _RECORD.iter_unpack(data[:whole]))
