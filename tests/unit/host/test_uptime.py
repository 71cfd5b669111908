import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from lmigrate.clock import utcnow
from lmigrate.host import uptime

NOW = datetime(2026, 1, 1, 8, 32, 11, tzinfo=UTC)
#: as python-openstackclient takes it apart
CLIENTS = re.compile(r"\s*(.+)\sup\s+(.+),\s+(.+)\susers?,\s+load average:\s(.+)")


@pytest.mark.parametrize(
    ("running", "users", "expected"),
    [
        (timedelta(days=93, hours=18, minutes=25), 12, "up 93 days, 18:25,  12 users,"),
        (timedelta(days=1, minutes=3), 1, "up 1 day, 3 min,  1 user,"),
        (timedelta(hours=2, minutes=5, seconds=59), 0, "up  2:05,  0 users,"),
        (timedelta(seconds=30), 2, "up 0 min,  2 users,"),
    ],
)
def test_the_sentence(running: timedelta, users: int, expected: str) -> None:
    told = uptime.sentence(NOW, running, users, (0.2, 0.12, 0.14))
    assert told == f" 08:32:11 {expected}  load average: 0.20, 0.12, 0.14"
    assert CLIENTS.match(told)


def test_this_machine() -> None:
    found = CLIENTS.match(uptime.current(utcnow()))
    assert found
    assert len(found[4].split(", ")) == 3


def test_users_are_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "utmp"
    monkeypatch.setattr(uptime, "_UTMP", file)
    assert uptime._users() == 0
    records = [uptime._RECORD.pack(kind) for kind in (2, 7, 8, 7)]
    file.write_bytes(b"".join(records) + b"torn")
    assert uptime._users() == 2
