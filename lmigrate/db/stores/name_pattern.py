"""Names by regular expression, as Nova's list of servers takes them.

The expression is the client's, and the database runs it: so only what takes every
engine a bounded time is let through.  That leaves out nothing that names are asked for by.
"""

from __future__ import annotations

import re

from sqlalchemy import ColumnElement, or_
from sqlalchemy.orm import InstrumentedAttribute

from lmigrate.errors import InvalidInput

MAX_LENGTH = 255
#: each may take as many characters as there are: the time grows with this power of a name's length
MAX_UNBOUNDED = 4
_SPECIAL = re.compile(r"[\\\[\](){}*+?|.^$]")
_TOKEN = re.compile(
    r"""
      \\[dDwWsS] | \\[^A-Za-z0-9]              # a class, or a special character as itself
    | \[\^?[^\[\]\\^]+\]                       # one of a set
    | (?P<group>[()]) | [.^$|]
    | (?P<unbounded>[*+]|\{\d{1,3},\}) | (?P<bounded>\?|\{\d{1,3}(,\d{1,3})?\})
    | [^\\\[\](){}*+?|.^$]                     # any other character
    """,
    re.VERBOSE | re.ASCII,
)
_REMEDY = "Give part of the name, or a simple regular expression such as ^web-[0-9]+$."


def matches(column: InstrumentedAttribute[str], text: str) -> ColumnElement[bool]:
    """Whether ``column`` is ``text``, contains it, or matches it as a regular expression.

    Raises:
        InvalidInput: it is no regular expression, or one that could take for ever.
    """
    bare = text.removeprefix("^").removesuffix("$")
    if not _SPECIAL.search(bare):
        return contains(column, text)
    reason = why_refused(text)
    if reason is not None:
        raise InvalidInput(field="name", value=text, remedy=f"{reason} {_REMEDY}")
    # a name with such characters in it is found by itself, too
    return or_(column == text, column.regexp_match(text))


def contains(column: InstrumentedAttribute[str], text: str) -> ColumnElement[bool]:
    """Whether ``text`` is part of ``column``, as it stands; ^ and $ anchor it."""
    return _like(column, text.removeprefix("^").removesuffix("$"), starts=text.startswith("^"), ends=text.endswith("$"))


def why_refused(text: str) -> str | None:
    """Why the expression is not run, or None.  Pure."""
    if len(text) > MAX_LENGTH:
        return f"It is longer than {MAX_LENGTH} characters."
    position, unbounded, after_group = 0, 0, False
    while position < len(text):
        token = _TOKEN.match(text, position)
        if token is None:
            return f"{text[position:]!r} is not understood."
        repeats = token["unbounded"] is not None or token["bounded"] is not None
        if repeats and after_group:
            return "A group cannot be repeated."
        unbounded += token["unbounded"] is not None
        after_group = token["group"] is not None
        position = token.end()
    if unbounded > MAX_UNBOUNDED:
        return f"It repeats without bound more than {MAX_UNBOUNDED} times."
    return _syntax_error(text)


def _syntax_error(text: str) -> str | None:
    try:
        re.compile(text)
    except re.error as error:
        return f"It is no regular expression: {error}."
    return None


def _like(column: InstrumentedAttribute[str], bare: str, *, starts: bool, ends: bool) -> ColumnElement[bool]:
    if starts and ends:
        return column == bare
    if starts:
        return column.startswith(bare, autoescape=True)
    if ends:
        return column.endswith(bare, autoescape=True)
    return column.contains(bare, autoescape=True)
