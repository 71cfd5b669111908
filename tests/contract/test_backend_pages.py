"""Each driver has a page, and the configuration on it is one that lmigrate takes."""

import re
import tomllib
from pathlib import Path

import pytest

from lmigrate.config import StorageSettings
from lmigrate.storage.drivers.registry import DRIVERS


def blocks(page: Path) -> str:
    return "\n".join(re.findall(r"^```toml\n(.*?)^```", page.read_text(), re.MULTILINE | re.DOTALL))


@pytest.mark.parametrize("driver", DRIVERS)
@pytest.mark.parametrize("with_defaults", [False, True], ids=["as it stands", "with the lines that are commented out"])
def test_the_configuration_is_taken(repository: Path, driver: str, with_defaults: bool) -> None:
    text = blocks(repository / f"docs/backends/{driver}.md")
    if with_defaults:
        text = re.sub(r"^# (?=\w+ = )", "", text, flags=re.MULTILINE)
    settings = StorageSettings.model_validate(tomllib.loads(text)["storage"])
    [backend] = settings.backends.values()
    assert backend.driver == driver
    if with_defaults:
        assert backend.model_fields_set == set(type(backend).model_fields), "an option is not on its page"


def test_every_page_is_in_the_list(repository: Path) -> None:
    listed = set(re.findall(r"\]\(([\w-]+\.md)\)", (repository / "docs/backends/README.md").read_text()))
    assert listed == {path.name for path in (repository / "docs/backends").glob("*.md")} - {"README.md"}
