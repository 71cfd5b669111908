"""One line of a guest's serial port.

    tick n=17 boot=1a2b3c4d ok bad=0 pages=512 tsc=00000380dc17cd89 rtc=22:36:40
    tick n=17 boot=1a2b3c4d ok bad=0 pages=512 mono=12.345678 real=1763850000.123456 blocks=34 disks=2

`n` is the count, `boot` differs for each start of the guest, `bad` counts memory pages or disk blocks
that were not as the guest had left them, `pages` counts pages dirtied so far.  What follows is the
kind's own: clocks (see docs/lab-guests.md for what each sees of a migration) and disks.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

_LINE = re.compile(r"tick n=(\d+) boot=([0-9a-f]{8}) (ok|BAD) bad=(\d+) pages=(\d+)((?: [a-z]+=\S+)*)")


@dataclass(frozen=True)
class TickLine:
    """What the guest said.

    Attributes:
        count: counts up by one; lives in the guest's memory only.
        boot: of this start of the guest.
        bad: pages or blocks found changed, since the start.
        pages: pages of 4 KiB dirtied, since the start.
        details: the rest, by name.
    """

    count: int
    boot: str
    bad: int
    pages: int
    details: dict[str, str] = field(default_factory=dict)


def parse_line(text: str) -> TickLine | None:
    """The line as told; None when it is none of ours (a firmware's or kernel's message, or a damaged one)."""
    found = _LINE.fullmatch(text.strip())
    if found is None:
        return None
    count, boot, _, bad, pages, rest = found.groups()
    return TickLine(int(count), boot, int(bad), int(pages), dict(pair.split("=", 1) for pair in rest.split()))
