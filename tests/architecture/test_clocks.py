"""Whoever writes down a moment, or compares one, takes the database's (docs/adr/0009)."""

from __future__ import annotations

import ast
from pathlib import Path

#: certificates are judged by the machine's own clock, as libvirt judges them; the library `limits` counts by it; the lab is one machine
MAY_LOOK_AT_THEIR_OWN = {"api/limits.py", "lmigrate/db/clock.py", "lmigrate/host/heartbeat.py", "lmigrate/host/registration.py"}


def test_nobody_else_looks_at_its_own_clock(tracked: list[Path], repository: Path) -> None:
    names = {str(path.relative_to(repository)): path for path in tracked if path.suffix == ".py"}
    product = {name: path for name, path in names.items() if name.startswith(("lmigrate/", "api/", "tasks/")) and "/lab/" not in name}
    assert {name for name, path in product.items() if _looks_at_its_own(ast.parse(path.read_text()))} == MAY_LOOK_AT_THEIR_OWN


def _looks_at_its_own(tree: ast.Module) -> bool:
    imports = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    if any(node.module == "lmigrate.clock" for node in imports):
        return True
    has_module = any(node.module == "lmigrate" and any(name.name == "clock" for name in node.names) for node in imports)
    return has_module and any(_is_wall_clock(node) for node in ast.walk(tree))


def _is_wall_clock(node: ast.AST) -> bool:
    return isinstance(node, ast.Attribute) and node.attr == "utcnow" and isinstance(node.value, ast.Name) and node.value.id == "clock"
