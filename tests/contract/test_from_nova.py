"""docs/from-nova.md names every option of Nova about live migration, and settings that there are."""

from __future__ import annotations

import re
from pathlib import Path

from lmigrate.config import Settings
from tests.contract.nova_schemas import HOME

_OPTION = re.compile(r"""['"]((?:[a-z]+_)*live_migrations?(?:_[a-z]+)*)['"]""")


def test_every_option_has_a_row(repository: Path) -> None:
    sources = [path.read_text() for path in (HOME / "nova" / "conf").glob("*.py")]
    options = {name for source in sources for name in re.findall(r"Opt\(\s*" + _OPTION.pattern, source)}
    assert len(options) >= 18
    page = (repository / "docs" / "from-nova.md").read_text()
    assert not [name for name in sorted(options) if f" {name}`" not in page]


def test_every_setting_exists_and_has_the_default_that_the_page_says(repository: Path) -> None:
    page = (repository / "docs" / "from-nova.md").read_text()
    named = set(re.findall(r"`((?:host|migration|scheduler)\.[a-z_]+)`", page))
    assert len(named) >= 18
    defaults = dict(re.findall(r"\| `((?:host|migration|scheduler)\.[a-z_]+)` \| `?([-\w.]+)`? \|", page))
    for setting in named:
        section, _, option = setting.partition(".")
        model = Settings.model_fields[section].annotation
        assert isinstance(model, type)
        field = model.model_fields[option]
        if setting in defaults:
            assert str(field.default).lower().removesuffix(".0") == defaults[setting].removesuffix(".0"), setting
