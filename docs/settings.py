"""Write docs/settings.md from the settings' own fields.

python docs/settings.py            write it
python docs/settings.py --check    exit 1 if it is stale
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

from pydantic import SecretStr
from pydantic.fields import FieldInfo

from lmigrate.config import Backend, Settings

PAGE = Path(__file__).with_suffix(".md")
HEADER = """\
# Settings

Written by `make docs` from `lmigrate/config.py`; do not edit.

Every process reads the same settings: from the environment, and from the TOML file that `LMIGRATE_CONFIG` names.
The environment wins. `LMIGRATE_HOST__NAME=node5` and, in the file,

```toml
[host]
name = "node5"
```

say the same. A setting that is wrong, or that there is none of, ends every command that reads settings with exit code 2 and a
sentence that names it: an unknown key in the file or in the environment, a section that there is not (`LMIGRATE_DATABSE__URL`), and
one underscore where two are needed (`LMIGRATE_DATABASE_URL`). So does a file that `LMIGRATE_CONFIG` names and that is not there.
Other variables that begin with `LMIGRATE_` are left alone.
"""

BACKENDS = """
## [storage.backends.*name*]

One section for each backend; `driver` says which of these it is. In the environment `LMIGRATE_STORAGE__BACKENDS` is a JSON
object of all of them. [backends/](backends) has a working configuration of each.
"""


def main() -> int:
    """Write the page, or compare it."""
    page = render()
    if "--check" not in sys.argv[1:]:
        PAGE.write_text(page)
        return 0
    if PAGE.exists() and PAGE.read_text() == page:
        return 0
    sys.stderr.write("docs/settings.md is stale: run make docs\n")
    return 1


def render() -> str:
    """The whole page."""
    sections = "".join(_section(name, field) for name, field in Settings.model_fields.items())
    return HEADER + sections + BACKENDS + "".join(_backend(kind) for kind in get_args(get_args(Backend)[0]))


def _section(name: str, field: FieldInfo) -> str:
    section = field.annotation
    assert isinstance(section, type)  # noqa: S101 - for mypy: each field of Settings is a section
    lines = [f"\n## [{name}]\n\n{(section.__doc__ or '').strip()}\n\n| variable | default | meaning |\n| --- | --- | --- |\n"]
    lines += [_row(name, option, info) for option, info in section.model_fields.items()]
    return "".join(lines)


def _backend(kind: Any) -> str:
    driver = get_args(kind.model_fields["driver"].annotation)[0]
    lines = [f'\n### driver = "{driver}"\n\n{(kind.__doc__ or "").strip()}\n\n| option | default | meaning |\n| --- | --- | --- |\n']
    options = {name: info for name, info in kind.model_fields.items() if name != "driver"}
    lines += [f"| `{name}` | {_default(info)} | {_meaning(info)} |\n" for name, info in options.items()]
    return "".join(lines)


def _row(section: str, option: str, info: FieldInfo) -> str:
    return f"| `LMIGRATE_{section.upper()}__{option.upper()}` | {_default(info)} | {_meaning(info)} |\n"


def _meaning(info: FieldInfo) -> str:
    return " ".join([info.description or "", *_bounds(info)]).strip().replace("|", chr(92) + "|")


def _default(info: FieldInfo) -> str:
    if info.is_required():
        return "required"
    if info.default_factory in {dict, list}:
        return "none"
    if info.default_factory is not None:
        return "this machine's host name"
    value: Any = info.default.get_secret_value() if isinstance(info.default, SecretStr) else info.default
    return "unset" if value is None else f"`{value}`"


def _bounds(info: FieldInfo) -> Iterator[str]:
    words = {"ge": "at least", "gt": "more than", "le": "at most", "lt": "less than"}
    limits = [(word, getattr(rule, name, None)) for rule in info.metadata for name, word in words.items()]
    found = [f"{word} {limit}" for word, limit in limits if limit is not None]
    if found:
        yield f"({', '.join(found)})"


if __name__ == "__main__":
    sys.exit(main())
