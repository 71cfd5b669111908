"""`make demo`, as the first page of the documentation promises it."""

from __future__ import annotations

import re
import secrets

import pytest
from click.testing import CliRunner

from lmigrate.lab import processes
from lmigrate.lab.lab_cmd import lab as lab_command
from lmigrate.lab.paths import lab_root

pytestmark = [pytest.mark.lab, pytest.mark.one_database]


def test_the_demo_moves_a_guest_without_a_missed_beat_and_leaves_nothing() -> None:
    lab_id = f"d-{secrets.token_hex(3)}"
    shown = CliRunner().invoke(lab_command, ["demo", "--id", lab_id])
    assert shown.exit_code == 0, shown.output
    said = shown.output
    assert '{"os-migrateLive": {"block_migration": "false", "host": "node6"}}' in said
    assert said.index("202 ACCEPTED") < said.index("  running") < said.index("  completed")
    before, after = re.findall(r"The guest counted (\d+) before and (\d+) afterwards, and 0 counts are missing", said)[0]
    assert int(after) > int(before) > 0
    assert "It was restarted 0 times, and 0 pages of its memory were not as it had left them." in said
    assert not (lab_root() / lab_id).exists()
    assert processes.of_labs(lab_root() / lab_id) == {}
