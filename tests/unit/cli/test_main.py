import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from lmigrate.cli.exit_codes import ExitCode
from lmigrate.cli.main import COMMANDS, main

#: slow or heavy, and of no use to whoever asks for help
HEAVY = {"flask", "celery", "kombu", "libvirt", "sqlalchemy", "pydantic", "httpx", "rich", "alembic", "structlog"}


def test_help_imports_nothing_heavy() -> None:
    program = "import sys; from lmigrate.cli.main import main; main(['--help'], standalone_mode=False); print(sorted(sys.modules))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.splitlines()[-1].strip("[]").replace("'", "").split(", "))
    assert not loaded & HEAVY


def test_help_lists_every_exit_code_and_command() -> None:
    shown = CliRunner().invoke(main, ["--help"]).output
    assert all(f"  {code.value}  " in shown for code in ExitCode)
    assert all(f"\n  {name}" in shown for name in COMMANDS)


def test_the_page_lists_every_exit_code(repository: Path) -> None:
    page = (repository / "docs" / "command-line.md").read_text()
    assert all(f"\n| {code.value} | " in page for code in ExitCode)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help(name: str) -> None:
    shown = CliRunner().invoke(main, [name, "--help"])
    assert shown.exit_code == 0
    assert "Usage: " in shown.output


def test_unknown_commands_and_options_are_wrong_usage() -> None:
    assert CliRunner().invoke(main, ["nope"]).exit_code == ExitCode.USAGE
    assert CliRunner().invoke(main, ["server", "list", "--nope"]).exit_code == ExitCode.USAGE
