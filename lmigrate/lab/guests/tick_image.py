"""The image of the `tick` guest: assembled from tick.S when first needed, its header patched for each guest."""

from __future__ import annotations

import hashlib
import math
import struct
import subprocess
import tempfile
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from lmigrate.lab.errors import LabError, MissingProgram, WrongOption

PIT_HZ = 1_193_182
PAGES_PER_MIB = 256
_PIT_DIVISOR_MAX = 65_535  # 18.2 Hz: slower counting needs several interrupts for each count
_SMOOTH_HZ = 100  # a dirtying guest works in small portions, or the pages would come in waves
RATE_HZ_MAX = 2_000
MEMORY_MIB_MAX = 2_048  # below every hole of PC machine types
LOAD_MIB = 2  # code, page tables and what firmware leaves behind

_HEADER = struct.Struct("<8s8I")
_HEADER_OFFSET = 4
_MAGIC = b"LMTICK01"
_SECTOR = 512
_ROM_BYTES = 65_536  # QEMU wants whole 64 KiB; the last of them is also seen below 1 MiB
_RESET_VECTOR = 0xFFF0


@dataclass(frozen=True)
class TickParameters:
    """What a tick guest does.

    Attributes:
        rate_hz: counts, and so lines, a second; 0.1 to 2000.
        dirty_mib: size of the region in MiB that is rewritten over and over.
        dirty_mib_per_s: how fast, in MiB/s.
        fill_mib: memory in MiB that is written once with incompressible data and verified in turn.
        poweroff_at: the count at which it switches itself off; 0: never.
    """

    rate_hz: float = 10.0
    dirty_mib: int = 0
    dirty_mib_per_s: float = 0.0
    fill_mib: int = 0
    poweroff_at: int = 0

    def __post_init__(self) -> None:
        if not 0.1 <= self.rate_hz <= RATE_HZ_MAX:
            raise WrongOption(f"rate_hz is between 0.1 and {RATE_HZ_MAX}, not {self.rate_hz}")
        if min(self.dirty_mib, self.dirty_mib_per_s, self.fill_mib, self.poweroff_at) < 0:
            raise WrongOption("dirty_mib, dirty_mib_per_s, fill_mib and poweroff_at cannot be negative")
        if self.dirty_mib_per_s and not self.dirty_mib:
            raise WrongOption("dirty_mib_per_s needs a region: dirty_mib")
        if self.memory_mib > MEMORY_MIB_MAX:
            raise WrongOption(f"the tick guest uses at most {MEMORY_MIB_MAX} MiB, not {self.memory_mib}")

    @property
    def memory_mib(self) -> int:
        """The least memory in MiB with which the guest works."""
        return LOAD_MIB + 1 + self.dirty_mib + self.fill_mib

    @property
    def irqs_per_tick(self) -> int:
        """Timer interrupts for each count."""
        wanted_hz = _SMOOTH_HZ if self.dirty_mib_per_s else PIT_HZ / _PIT_DIVISOR_MAX
        return max(1, math.ceil(wanted_hz / self.rate_hz))

    @property
    def pit_divisor(self) -> int:
        """What the timer counts down from."""
        return round(PIT_HZ / (self.rate_hz * self.irqs_per_tick))

    @property
    def dirty_per_irq(self) -> int:
        """Pages to rewrite at each interrupt, in 16.16 fixed point."""
        interrupts_per_s = PIT_HZ / self.pit_divisor
        return round(self.dirty_mib_per_s * PAGES_PER_MIB / interrupts_per_s * 65_536)


def assemble(cache: Path) -> bytes:
    """The image as assembled; kept in ``cache``, under a name that changes with the source.

    Raises:
        MissingProgram: as or ld is not installed.
        LabError: they refused the source.
    """
    source = resources.files(__package__).joinpath("tick.S").read_bytes()
    image = cache / f"tick-{hashlib.sha256(source).hexdigest()[:16]}.bin"
    if not image.exists():
        cache.mkdir(parents=True, exist_ok=True)
        _build(source, image)
    return image.read_bytes()


def patch(image: bytes, parameters: TickParameters) -> bytes:
    """``image`` with its header set; a boot sector and the sectors that it loads, a multiple of 512 bytes."""
    rom_entry, sectors = _fixed_fields(image)
    header = _HEADER.pack(
        _MAGIC,
        rom_entry,
        sectors,
        parameters.pit_divisor,
        parameters.irqs_per_tick,
        1 + parameters.fill_mib * PAGES_PER_MIB,
        parameters.dirty_mib * PAGES_PER_MIB,
        parameters.dirty_per_irq,
        parameters.poweroff_at,
    )
    return image[:_HEADER_OFFSET] + header + image[_HEADER_OFFSET + _HEADER.size :]


def as_rom(image: bytes) -> bytes:
    """``image`` as the whole firmware of a machine: it ticks at once, where a BIOS may take seconds."""
    rom_entry, _ = _fixed_fields(image)
    rom = bytearray(_ROM_BYTES)
    rom[: len(image)] = image
    rom[_RESET_VECTOR : _RESET_VECTOR + 5] = struct.pack("<BHH", 0xEA, rom_entry, 0xF000)  # far jump
    return bytes(rom)


def _fixed_fields(image: bytes) -> tuple[int, int]:
    magic, rom_entry, sectors, *_ = _HEADER.unpack_from(image, _HEADER_OFFSET)
    if magic != _MAGIC or len(image) != sectors * _SECTOR:
        raise LabError(f"not an image of the tick guest: {len(image)} bytes that begin with {image[:16].hex()}")
    return rom_entry, sectors


def _build(source: bytes, image: Path) -> None:
    with tempfile.TemporaryDirectory(dir=image.parent) as directory:
        unlinked, linked = Path(directory) / "tick.o", Path(directory) / "tick.bin"
        _tool(["as", "--64", "-o", str(unlinked), "-"], source)
        _tool(["ld", "-m", "elf_x86_64", "--oformat", "binary", "-Ttext", "0x7c00", "-e", "_start", "-o", str(linked), str(unlinked)])
        linked.rename(image)


def _tool(argv: list[str], stdin: bytes = b"") -> None:
    try:
        done = subprocess.run(argv, input=stdin, capture_output=True, check=False)
    except FileNotFoundError as error:
        raise MissingProgram(program=argv[0], package="binutils") from error
    if done.returncode != 0:
        raise LabError(f"{argv[0]} failed on tick.S: {done.stderr.decode().strip()}")
