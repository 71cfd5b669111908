"""Nova's own schemas of query strings: what it refuses is refused here, and what it takes is taken, in every microversion."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

import jsonschema_rs
import pytest
from flask import Flask, g

from api.microversions import MAXIMUM, MINIMUM, Microversion
from api.nova.operation import OPERATIONS, InvalidQuery, Operation, parse_query
from api.nova.schemas.server_query import FORBIDDEN
from tests.contract.nova_schemas import NovaSchemas

pytestmark = pytest.mark.one_database

EVERY_VERSION = [Microversion(2, minor) for minor in range(MINIMUM.minor, MAXIMUM.minor + 1)]
#: what is taken though Nova, from 2.75 on, refuses it
TAKEN: dict[tuple[str, str], str] = {
    ("servers.index", "instance_name"): "`openstack server list --instance-name` sends it: here it is the domain's name, and it is found",
    ("servers.detail", "instance_name"): "the same",
}
#: parameters of which most words are wrong, and a word that is right
RIGHT = {"changes-since": "2026-01-01T00:00:00Z", "changes-before": "2026-01-01T00:00:00Z", "sort_key": "created_at", "sort_dir": "asc"}
WORDS = ["1", "true", "x.y-z", "", "-1", "(", "yesterday", "locked", "vcpus", "id", "a" * 300]


@pytest.fixture(scope="module")
def schemas() -> NovaSchemas:
    return NovaSchemas()


def test_what_nova_refuses_is_refused_and_nothing_else(api: Flask, schemas: NovaSchemas, subtests: pytest.Subtests) -> None:
    looked_at = 0
    for operation in OPERATIONS.values():
        if operation.query:
            names = {name for version in served(operation) for name in schemas.query("GET", operation.path, version)["properties"]}
            with subtests.test(operation=operation.name):
                for version, schema in turns(schemas, operation):
                    validator = jsonschema_rs.Draft202012Validator(schema, validate_formats=True, formats=FORMATS)
                    for given in queries(names | {"instance_name", "unheard_of"}):
                        looked_at += 1
                        agrees(api, operation, version, validator, given)
    assert looked_at > 1_000


def served(operation: Operation) -> list[Microversion]:
    return [version for version in EVERY_VERSION if operation.span.first <= version <= operation.span.last]


def turns(schemas: NovaSchemas, operation: Operation) -> Iterator[tuple[Microversion, dict[str, Any]]]:
    """The versions in which Nova's schema is another than in the one before, and the last."""
    before = None
    for version in served(operation):
        schema = schemas.query("GET", operation.path, version)
        if schema is not before or version == served(operation)[-1]:
            yield version, schema
        before = schema


def queries(names: set[str]) -> Iterator[dict[str, list[str]]]:
    """Each parameter with each word, and twice with a right one."""
    for name in sorted(names):
        right = RIGHT.get(name, "1")
        yield {name: [right, right]}
        for word in {*WORDS, right}:
            yield {name: [word]}


def agrees(api: Flask, operation: Operation, version: Microversion, nova: Any, given: dict[str, list[str]]) -> None:
    ((name, _),) = given.items()
    if (operation.name, name) in TAKEN or name in FORBIDDEN:  # Nova refuses these after its schema has let them through
        return
    assert is_taken(api, operation, version, given) == nova.is_valid(given), (str(version), given)


def is_taken(api: Flask, operation: Operation, version: Microversion, given: dict[str, list[str]]) -> bool:
    with api.test_request_context(f"/?{urlencode(given, doseq=True)}"):
        g.microversion = version
        try:
            parse_query(operation.query)
        except InvalidQuery:
            return False
    return True


def _is_expression(text: str) -> bool:
    try:
        re.compile(text)
    except re.error:
        return False
    return bool(text)


def _is_moment(text: str) -> bool:
    try:
        datetime.fromisoformat(text)
    except ValueError:
        return False
    return True


FORMATS = {"regex": _is_expression, "date-time": _is_moment}
