"""The tree at the top of lmigrate/errors.py names what is below it."""

from __future__ import annotations

import re

from lmigrate import errors


def test_the_tree_is_whole() -> None:
    tree = errors.__doc__ or ""
    named = set(re.findall(r"[A-Z][A-Za-z]+(?:Error|[a-z])", tree.partition("The docstring")[0].partition("\n\n")[2]))
    defined = {name for name, one in vars(errors).items() if isinstance(one, type) and issubclass(one, errors.LmigrateError)}
    assert named == defined
