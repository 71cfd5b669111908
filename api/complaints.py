"""What is wrong with a value, in words for whoever sent it: neither Python's names nor those of the library that checks."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

#: kind of pydantic's error → what is needed; {…} are its context's
_NEEDED = {
    "missing": "It is required",
    "extra_forbidden": "There is no such field",
    "string_type": "A text is needed",
    "int_type": "A whole number is needed",
    "int_parsing": "A whole number is needed",
    "int_from_float": "A whole number is needed",
    "float_type": "A number is needed",
    "float_parsing": "A number is needed",
    "bool_type": "true or false is needed",
    "bool_parsing": "true or false is needed",
    "list_type": "A list is needed",
    "dict_type": "A JSON object is needed",
    "model_type": "A JSON object is needed",
    "model_attributes_type": "A JSON object is needed",
    "greater_than": "It must be more than {gt}",
    "greater_than_equal": "It must be at least {ge}",
    "less_than_equal": "It must be at most {le}",
    "string_too_short": "It must have at least {min_length} characters",
    "string_too_long": "It must have at most {max_length} characters",
    "string_pattern_mismatch": "It must match {pattern}",
    "literal_error": "It must be {expected}",
    "enum": "It must be {expected}",
}
_SHOWN = 200


def needed(error: Mapping[str, Any]) -> str:
    """What one of pydantic's errors asks for, as a sentence without its end."""
    template = _NEEDED.get(error["type"])
    if template is not None:
        return template.format(**error.get("ctx", {}))
    message: str = error["msg"].removeprefix("Value error, ")
    return message[:1].upper() + message[1:]


def shown(value: object) -> str:
    """A value as it was sent: JSON's null and true, and not Python's."""
    text = repr(value) if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=repr)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"
