from __future__ import annotations

import pytest

from lmigrate.lab.guests.line import TickLine, parse_line
from lmigrate.lab.guests.report import Heard, Report, make_report

BOOT, OTHER_BOOT = "1a2b3c4d", "0badf00d"


def heard(*counts: int, every_s: float = 0.1, boot: str = BOOT, start_s: float = 100.0, host: str = "node5", bad: int = 0) -> list[Heard]:
    return [Heard(start_s + place * every_s, host, TickLine(count, boot, bad, pages=count * 256)) for place, count in enumerate(counts)]


def test_a_line_of_the_tick_guest() -> None:
    line = parse_line("tick n=17 boot=1a2b3c4d ok bad=0 pages=512 tsc=00000380dc17cd89 rtc=22:36:40\n")
    assert line == TickLine(17, BOOT, 0, 512, {"tsc": "00000380dc17cd89", "rtc": "22:36:40"})


def test_a_line_that_tells_of_lost_pages() -> None:
    line = parse_line("tick n=17 boot=1a2b3c4d BAD bad=3 pages=0")
    assert line is not None
    assert line.bad == 3


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Booting from Hard Disk...",
        "tick n=17 boot=1a2b3c4d ok bad=0",
        "tick n=1tick n=2 boot=1a2b3c4d ok bad=0 pages=0",
        "[    0.1] tick",
    ],
)
def test_other_text_is_no_line(text: str) -> None:
    assert parse_line(text) is None


def test_nothing_heard_is_not_unbroken() -> None:
    assert make_report([]) == Report()
    assert not make_report([]).is_unbroken


def test_an_undisturbed_guest() -> None:
    report = make_report(heard(5, 6, 7, 8))
    assert (report.lines, report.counter_first, report.counter_last) == (4, 5, 8)
    assert report.is_unbroken
    assert report.period_ms == pytest.approx(100)
    assert report.pause_ms == pytest.approx(0, abs=1e-6)
    assert report.dirtied_mib_per_s == pytest.approx(10)


def test_a_migrated_guest_went_on_after_a_pause() -> None:
    report = make_report(heard(1, 2, 3) + heard(4, 5, 6, start_s=100.5, host="node6"))
    assert report.is_unbroken
    assert report.hosts == ("node5", "node6")
    assert report.longest_gap_ms == pytest.approx(300)
    assert report.longest_gap_after == 3
    assert report.pause_ms == pytest.approx(200)


def test_missing_counts_are_counted() -> None:
    assert make_report(heard(1, 2, 6, 7, 9)).missing == 4


def test_another_boot_is_a_restart_even_if_its_count_is_higher() -> None:
    report = make_report(heard(1, 2) + heard(7, 8, start_s=101, boot=OTHER_BOOT))
    assert report.restarted == 1
    assert report.missing == 0
    assert not report.is_unbroken


def test_a_guest_that_runs_twice_is_seen() -> None:
    assert make_report(heard(1, 2, 2, 3, 3)).restarted == 2


def test_lost_memory_is_seen() -> None:
    report = make_report(heard(1, 2) + heard(3, 4, start_s=100.2, bad=2))
    assert report.bad == 2
    assert not report.is_unbroken


def test_plain_data_has_what_is_computed() -> None:
    data = make_report(heard(1, 2)).to_json()
    assert data["is_unbroken"] is True
    assert data["pause_ms"] == pytest.approx(0)
