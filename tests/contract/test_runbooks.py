"""Each reason to hold a migration has a runbook, and each runbook a reason."""

from __future__ import annotations

from pathlib import Path

import pytest

from lmigrate.states import HoldReason

#: pages about something else than one reason
OTHERS = {"README", "held-migration", "host-down", "anomaly", "volumes", "leaks", "untaken-step"}


def test_reasons_and_pages_are_the_same(repository: Path) -> None:
    pages = {path.stem for path in (repository / "docs" / "runbooks").glob("*.md")}
    assert pages - OTHERS == {reason.value for reason in HoldReason}
    assert pages >= OTHERS


@pytest.mark.parametrize("reason", HoldReason)
def test_a_page_names_its_reason_and_is_listed(repository: Path, reason: HoldReason) -> None:
    runbooks = repository / "docs" / "runbooks"
    assert f"`{reason.value}`" in (runbooks / f"{reason.value}.md").read_text()
    assert f"({reason.value}.md)" in (runbooks / "held-migration.md").read_text()
