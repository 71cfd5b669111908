"""Names by regular expression, as Nova's list of servers takes them.

The expression is the client's, and the database runs it; with SQLite that is Python's
``re``, which tries every way in which an expression may match and lets nothing else run
meanwhile.  So the ways are bounded: whatever leaves a choice has a cost, and few
choices are let through, as many as names are asked for by.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise

from sqlalchemy import ColumnElement, or_
from sqlalchemy.orm import InstrumentedAttribute

from lmigrate.errors import InvalidInput

#: a name, or none
Column = InstrumentedAttribute[str] | InstrumentedAttribute[str | None]

MAX_LENGTH = 255
#: in powers of two of the ways to match: an optional character or a further alternative of a group doubles them
_COST_OF_TWO_WAYS = 1
#: a repeat is as long as it likes within a name, and an expression without ^ begins anywhere in it
_COST_OF_A_LENGTH = 5
MAX_COST = 15
_SPECIAL = re.compile(r"[\\\[\](){}*+?|.^$]")
_TOKEN = re.compile(
    r"""
      \\[dDwWsS] | \\[^A-Za-z0-9]              # a class, or a special character as itself
    | \[\^?[^\[\]\\^]+\]                       # one of a set
    | (?P<open>\() | (?P<close>\)) | (?P<either>\|) | [.^$]
    | (?P<repeat>                              # not followed by +, which PostgreSQL does not know
        (?: (?P<length>[*+]|\{\d{1,3},\d{0,3}\}) | (?P<optional>\?) | \{\d{1,3}\} ) (?!\+)
      )
    | [^\\\[\](){}*+?|.^$]                     # any other character
    """,
    re.VERBOSE | re.ASCII,
)
_REMEDY = "Give part of the name, or a simple regular expression such as ^web-[0-9]+$."


def fits(field: str, text: str, value: str) -> bool:
    """The same of a word instead of a column.

    Raises:
        InvalidInput: ``text`` is no regular expression, or one that could take for ever.
    """
    reason = why_refused(text)
    if reason is not None:
        raise InvalidInput(field=field, value=text, remedy=f"{reason} {_REMEDY}")
    return re.search(text, value) is not None


def matches(column: Column, text: str, field: str = "name") -> ColumnElement[bool]:
    """Whether ``column`` is ``text``, contains it, or matches it as a regular expression; ``field`` is what errors call it.

    Raises:
        InvalidInput: it is no regular expression, or one that could take for ever.
    """
    bare = text.removeprefix("^").removesuffix("$")
    if not _SPECIAL.search(bare):
        return contains(column, text)
    reason = why_refused(text)
    if reason is not None:
        raise InvalidInput(field=field, value=text, remedy=f"{reason} {_REMEDY}")
    # a name with such characters in it is found by itself, too
    return or_(column == text, column.regexp_match(text))


def contains(column: Column, text: str) -> ColumnElement[bool]:
    """Whether ``text`` is part of ``column``, as it stands; ^ and $ anchor it."""
    return _like(column, text.removeprefix("^").removesuffix("$"), starts=text.startswith("^"), ends=text.endswith("$"))


def why_refused(text: str) -> str | None:
    """Why the expression is not run, or None.  Pure."""
    if len(text) > MAX_LENGTH:
        return f"It is longer than {MAX_LENGTH} characters."
    tokens = list(_tokens(text))
    rest = text[sum(map(len, map(re.Match.group, tokens))) :]
    if rest:
        return f"{rest!r} is not understood."
    if any((before["open"] or before["close"]) and token["repeat"] for before, token in pairwise(tokens)):
        return "A group cannot be repeated."
    if _cost(tokens) > MAX_COST:
        return "It leaves too many choices: begin it with ^, or repeat and choose less often."
    return _syntax_error(text)


def _tokens(text: str) -> Iterator[re.Match[str]]:
    """What ``text`` consists of, up to what is not understood."""
    position = 0
    while token := _TOKEN.match(text, position):
        yield token
        position = token.end()


def _cost(tokens: list[re.Match[str]]) -> int:
    """How many choices there are in matching the expression, by what they cost.  Pure."""
    depth, cost, is_anchored = 0, 0, bool(tokens) and tokens[0][0] == "^"
    for token in tokens:
        depth += (token["open"] is not None) - (token["close"] is not None)
        if token["length"]:
            cost += _COST_OF_A_LENGTH
        elif token["optional"] or (token["either"] and depth):
            cost += _COST_OF_TWO_WAYS
        elif token["either"]:
            is_anchored = False  # the ^ is the first alternative's
    return cost if is_anchored else cost + _COST_OF_A_LENGTH


def _syntax_error(text: str) -> str | None:
    try:
        re.compile(text)
    except re.error as error:
        return f"It is no regular expression: {error}."
    return None


def _like(column: Column, bare: str, *, starts: bool, ends: bool) -> ColumnElement[bool]:
    if starts and ends:
        return column == bare
    if starts:
        return column.startswith(bare, autoescape=True)
    if ends:
        return column.endswith(bare, autoescape=True)
    return column.contains(bare, autoescape=True)
