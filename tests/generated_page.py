"""A table that a program writes into a page which people have written."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

END = "<!-- end -->\n"


@dataclass(frozen=True)
class GeneratedTable:
    """Where it stands: between the line that names ``source`` and the next END."""

    page: Path
    source: str

    def write_or_check(self, table: str) -> int:
        """Write the page with ``table``, or with ``--check`` compare it; the exit code."""
        told = self.page.read_text()
        wanted = self._with(told, table)
        if "--check" not in sys.argv[1:]:
            self.page.write_text(wanted)
            return 0
        if told == wanted:
            return 0
        sys.stderr.write(f"the table of docs/{self.page.name} is stale: run make docs\n")
        return 1

    def _with(self, told: str, table: str) -> str:
        begin = f"<!-- written by `make docs` from {self.source} -->\n"
        before, _, rest = told.partition(begin)
        return before + begin + table + END + rest.partition(END)[2]
