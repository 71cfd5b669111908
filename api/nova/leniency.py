"""What Nova takes for a boolean, a host's name, a number: no more and no less (``nova/api/validation/parameter_types.py``)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Literal

from pydantic import BeforeValidator, StringConstraints, WithJsonSchema


@dataclass(frozen=True)
class Many:
    """A parameter of which every value counts; of others the last one does."""


@dataclass(frozen=True)
class Once:
    """A parameter that is refused when it is given twice."""


TRUE_WORDS = ("True", "TRUE", "true", "1", "ON", "On", "on", "YES", "Yes", "yes")
FALSE_WORDS = ("False", "FALSE", "false", "0", "OFF", "Off", "off", "NO", "No", "no")
BOOLEAN_WORDS = [True, *TRUE_WORDS, False, *FALSE_WORDS]
_BOOLEAN_SCHEMA = {"type": ["boolean", "string"], "enum": BOOLEAN_WORDS}
_AUTO_SCHEMA = {"type": ["boolean", "string"], "enum": [*BOOLEAN_WORDS, "auto"]}


def _boolean(value: object) -> bool:
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and value in TRUE_WORDS:
        return True
    if isinstance(value, str) and value in FALSE_WORDS:
        return False
    allowed = ", ".join(repr(word) for word in (True, *TRUE_WORDS, False, *FALSE_WORDS))
    raise ValueError(f"{value!r} is not one of [{allowed}]")


def _boolean_or_auto(value: object) -> bool | str:
    return "auto" if value == "auto" and isinstance(value, str) else _boolean(value)


def moment(value: object) -> datetime:
    """A moment of the wire, in UTC.

    Raises:
        ValueError: it is none, or in UTC none of the years 1 to 9999.
    """
    try:
        found = datetime.fromisoformat(str(value))
        # Nova's own clients leave the zone out and mean UTC
        return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise ValueError(f"{value!r} is not a 'date-time'") from error


def _digits(value: object) -> int:
    """``limit=5``; also a JSON number."""
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 19:
        return int(value)
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return value
    raise ValueError(f"{value!r} does not match '^[0-9]*$'")


def _expression(value: object) -> str:
    text = str(value)
    try:
        re.compile(text)
    except (
        re.error,
        OverflowError,
        RecursionError,
        FutureWarning,
    ):  # the last one where warnings are errors: it may mean something else one day
        text = ""
    if not text:  # which would be an expression, but matches whatever there is
        raise ValueError(f"{value!r} is not a 'regex'")
    return text


Boolean = Annotated[bool, BeforeValidator(_boolean), WithJsonSchema(_BOOLEAN_SCHEMA)]
BooleanOrAuto = Annotated[bool | Literal["auto"], BeforeValidator(_boolean_or_auto), WithJsonSchema(_AUTO_SCHEMA)]
HostName = Annotated[str, StringConstraints(strict=True, min_length=1, max_length=255, pattern=r"^[a-zA-Z0-9\-._]*$")]
Reason = Annotated[str, StringConstraints(strict=True, min_length=1, max_length=255)]
NonNegative = Annotated[int, BeforeValidator(_digits), WithJsonSchema({"type": "string", "pattern": "^[0-9]{1,18}$"})]
Regex = Annotated[str, BeforeValidator(_expression), WithJsonSchema({"type": "string", "format": "python-regex", "minLength": 1})]
DateTime = Annotated[datetime, BeforeValidator(moment), WithJsonSchema({"type": "string", "format": "date-time"})]
