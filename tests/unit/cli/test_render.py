import pytest

from lmigrate.cli.render import moment, printable, size, text


@pytest.mark.parametrize(
    ("count", "shown"),
    [
        (None, "-"),
        (0, "0 B"),
        (1023, "1023 B"),
        (1024, "1.0 KiB"),
        (1536, "1.5 KiB"),
        (100 * 2**20, "100 MiB"),
        (2**40, "1.0 TiB"),
        (2**60, "1048576 TiB"),
    ],
)
def test_sizes(count: int | None, shown: str) -> None:
    assert size(count) == shown


def test_moments() -> None:
    assert moment("2026-01-01T12:00:00.123456Z") == "2026-01-01 12:00:00"
    assert moment("2026-01-01T12:00:00Z") == "2026-01-01 12:00:00"
    assert moment(None) is None


def test_a_hostile_name_gives_the_terminal_no_orders() -> None:
    hostile = "web\x1b[2J\x1b]0;owned\x07\r\n[bold]x"
    shown = text(hostile).plain
    assert shown.isprintable()
    assert shown.endswith("[bold]x")  # not read as markup either
    assert printable("naïve ☃") == "naïve ☃"
