"""A step is read before it is changed: its docstring says what it does, undoes and leaves when killed."""

import ast
import re
from pathlib import Path

import pytest

HEADINGS = ("Do", "Undo", "If killed", "Because")
STEPS = Path(__file__).parent.parent.parent / "lmigrate" / "migration" / "steps"


def step_classes() -> list[tuple[str, str]]:
    """(class, docstring) of every class that names a step."""
    classes = [node for path in sorted(STEPS.glob("*.py")) for node in ast.parse(path.read_text()).body if isinstance(node, ast.ClassDef)]
    return [(node.name, ast.get_docstring(node) or "") for node in classes if _names_a_step(node)]


def _names_a_step(node: ast.ClassDef) -> bool:
    """Whether the body assigns the journal's ``name``."""
    targets = [target for statement in node.body if isinstance(statement, ast.Assign) for target in statement.targets]
    return any(isinstance(target, ast.Name) and target.id == "name" for target in targets)


def test_there_are_steps() -> None:
    assert len(step_classes()) >= 8


@pytest.mark.parametrize(("name", "docstring"), step_classes(), ids=[name for name, _ in step_classes()])
def test_docstring_has_the_headings(name: str, docstring: str) -> None:
    missing = [heading for heading in HEADINGS if not re.search(rf"^\s*{heading}:", docstring, re.MULTILINE)]
    assert not missing, f"{name} does not say: {missing}"
