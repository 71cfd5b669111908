from __future__ import annotations

import struct
from pathlib import Path

import pytest

from lmigrate.lab.errors import LabError, WrongOption
from lmigrate.lab.guests.tick_image import PIT_HZ, TickParameters, as_rom, assemble, patch


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return assemble(tmp_path_factory.mktemp("cache"))


def header(image: bytes) -> tuple[int, ...]:
    return struct.unpack_from("<8I", image, 12)


def test_the_image_is_a_boot_sector_and_whole_sectors(image: bytes) -> None:
    assert image[510:512] == b"\x55\xaa"
    assert len(image) % 512 == 0
    assert header(image)[1] == len(image) // 512


def test_assembling_again_reads_the_cache(tmp_path: Path) -> None:
    assemble(tmp_path)
    (cached,) = tmp_path.iterdir()
    cached.write_bytes(b"from the cache")
    assert assemble(tmp_path) == b"from the cache"


def test_the_header_carries_the_parameters(image: bytes) -> None:
    patched = patch(image, TickParameters(rate_hz=100, dirty_mib=16, dirty_mib_per_s=50, fill_mib=3, poweroff_at=77))
    _, sectors, divisor, irqs_per_tick, static_pages, dirty_pages, dirty_per_irq, poweroff_at = header(patched)
    assert len(patched) == len(image) == sectors * 512
    assert irqs_per_tick == 1
    assert PIT_HZ / divisor == pytest.approx(100, rel=1e-3)
    assert static_pages == 1 + 3 * 256
    assert dirty_pages == 16 * 256
    assert poweroff_at == 77
    assert dirty_per_irq / 65536 * PIT_HZ / divisor / 256 == pytest.approx(50, rel=1e-4)


def test_nothing_but_the_header_is_patched(image: bytes) -> None:
    patched = patch(image, TickParameters(rate_hz=1, dirty_mib=1, dirty_mib_per_s=1, fill_mib=1))
    assert patched[:20] == image[:20]
    assert patched[44:] == image[44:]


@pytest.mark.parametrize("rate_hz", [0.1, 1, 10, 18.3, 50, 333, 1000, 2000])
@pytest.mark.parametrize("dirty_mib_per_s", [0, 10])
def test_the_timer_can_count_at_every_rate(rate_hz: float, dirty_mib_per_s: float) -> None:
    parameters = TickParameters(rate_hz=rate_hz, dirty_mib=8, dirty_mib_per_s=dirty_mib_per_s)
    assert 1 <= parameters.pit_divisor <= 65535
    assert PIT_HZ / parameters.pit_divisor / parameters.irqs_per_tick == pytest.approx(rate_hz, rel=2e-3)


def test_a_dirtying_guest_works_in_small_portions() -> None:
    assert TickParameters(rate_hz=1, dirty_mib=8, dirty_mib_per_s=8).irqs_per_tick == 100


@pytest.mark.parametrize(
    "wrong",
    [{"rate_hz": 0}, {"rate_hz": 5000}, {"dirty_mib": -1}, {"dirty_mib_per_s": 1}, {"fill_mib": 2046}],
)
def test_impossible_parameters_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(WrongOption):
        TickParameters(**wrong)  # type: ignore[arg-type]


def test_as_rom_the_reset_vector_leads_to_the_rom_entry(image: bytes) -> None:
    rom = as_rom(image)
    assert len(rom) == 65536
    assert rom[: len(image)] == image
    opcode, offset, segment = struct.unpack_from("<BHH", rom, 0xFFF0)
    assert (opcode, segment) == (0xEA, 0xF000)
    assert offset == header(image)[0]
    assert rom[offset] == 0xFA  # cli


def test_another_file_is_not_taken_for_an_image() -> None:
    with pytest.raises(LabError, match="not an image"):
        as_rom(bytes(1024))
