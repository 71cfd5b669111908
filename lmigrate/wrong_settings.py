"""What is wrong with the settings, in sentences that name the setting, what it was set to unless that is secret, and the remedy."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping
from difflib import get_close_matches

from pydantic import ValidationError
from pydantic_settings import SettingsError

from lmigrate.errors import LmigrateError

#: section → its options
Known = Mapping[str, Collection[str]]
PREFIX = "LMIGRATE_"
#: a longer value helps nobody
_SHOWN = 80


class WrongSettings(LmigrateError):
    """Wrong settings: {what}. docs/settings.md lists all."""


def of_values(error: ValidationError, known: Known, secret: Collection[str]) -> WrongSettings:
    """Values that are refused; those of options that ``secret`` names are not shown."""
    found = [_sentence(item["loc"], item["type"], item["msg"], item["input"], known, secret) for item in error.errors()]
    return WrongSettings(what="; ".join(found))


def of_json(error: SettingsError, environment: Mapping[str, str]) -> WrongSettings:
    """A variable that takes a list or an object, and holds no JSON.  Not shown: it may be a secret."""
    cause = error.__cause__
    if not isinstance(cause, json.JSONDecodeError):
        return WrongSettings(what=str(error))
    names = [name for name, value in environment.items() if value == cause.doc and name.upper().startswith(PREFIX)]
    where = f"{cause.msg} at character {cause.pos + 1}"
    return WrongSettings(what=f'{" or ".join(names)} is no JSON ({where}): a list is written ["…"], an object {{"…": "…"}}')


def of_variables(environment: Mapping[str, str], known: Known) -> WrongSettings | None:
    """Variables that were meant as settings and are none; None if there is no such."""
    found = [sentence for name in environment for sentence in _about_variable(name, known)]
    return WrongSettings(what="; ".join(found)) if found else None


def _about_variable(name: str, known: Known) -> Iterator[str]:
    if not name.upper().startswith(PREFIX):
        return
    rest = name[len(PREFIX) :].lower()
    section, divider, _ = rest.partition("__")
    if divider and section not in known:
        yield f"{name} sets nothing: there is no section {section!r}{_instead(section, known)}"
    for there, options in known.items():
        if rest.startswith(f"{there}_") and rest.removeprefix(f"{there}_") in options:
            right = f"{PREFIX}{there.upper()}__{rest.removeprefix(f'{there}_').upper()}"
            yield f"{name} sets nothing: it is written {right}, with two underscores"


def _sentence(loc: tuple[int | str, ...], kind: str, message: str, value: object, known: Known, secret: Collection[str]) -> str:
    name = ".".join(map(str, loc))
    if kind == "extra_forbidden":
        names = known if len(loc) == 1 else known.get(str(loc[0]), ()) if len(loc) == 2 else ()
        return f"there is no setting {name}{_instead(str(loc[-1]), names)}"
    is_shown = isinstance(value, str | int | float) and not any(part in secret for part in loc[1:])
    shown = f" = {value!r:.{_SHOWN}}" if is_shown else ""
    return f"{name}{shown}: {message.removeprefix('Value error, ')}"


def _instead(name: str, names: Collection[str]) -> str:
    close = get_close_matches(name, names, 1)
    return f" ({close[0]}?)" if close else ""
