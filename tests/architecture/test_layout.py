"""The shape of the tree: what its files are called and how long they may get."""

from pathlib import Path

BANNED_NAMES = {"utils", "util", "helpers", "helper", "manager", "common", "misc"}
MAX_LINES = 600
#: files that may be longer, each with its reason
LONGER: dict[str, str] = {}


def test_no_module_is_a_drawer(tracked: list[Path], repository: Path) -> None:
    named = {path for path in tracked if path.suffix == ".py" and {path.stem, path.parent.name} & BANNED_NAMES}
    assert {str(path.relative_to(repository)) for path in named} == set()


def test_files_stay_short(tracked: list[Path], repository: Path) -> None:
    lengths = {str(path.relative_to(repository)): len(path.read_text().splitlines()) for path in tracked if path.suffix == ".py"}
    assert {name: length for name, length in lengths.items() if length > MAX_LINES and name not in LONGER} == {}


def test_revisions_do_not_shadow_alembic(repository: Path) -> None:
    """With an ``__init__.py`` the folder would win over the library for everything run from the top."""
    assert not (repository / "alembic" / "__init__.py").exists()


def test_mandated_top_level(repository: Path) -> None:
    mandated = {"lmigrate", "tasks", "api", "alembic", "tests", "Procfile", "setup.py"}
    assert mandated <= {path.name for path in repository.iterdir()}
