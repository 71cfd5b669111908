"""docs/threat-model.md names a test for each thing that somebody cannot do, and those tests exist."""

from __future__ import annotations

import ast
import re
from pathlib import Path

_NAMED = re.compile(r"`(tests/[\w/]+\.py)::(test_\w+)`")


def test_each_line_names_tests_and_each_test_exists(repository: Path) -> None:
    page = (repository / "docs" / "threat-model.md").read_text()
    rows = [
        line for line in page.splitlines() if line.startswith("| ") and not line.startswith(("| ---", "| they cannot |", "| it cannot |"))
    ]
    assert len(rows) > 20
    assert [row for row in rows if not _NAMED.search(row)] == []
    assert {f"{file}::{name}" for file, name in _NAMED.findall(page) if name not in _tests_in(repository / file)} == set()


def _tests_in(file: Path) -> set[str]:
    tree = ast.parse(file.read_text()) if file.exists() else ast.Module([], [])
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}
