"""Nova's own schemas of answers, applied to ours: every operation, every microversion."""

from collections.abc import Iterator
from datetime import datetime
from typing import Any

import jsonschema_rs
import pytest
from flask import Flask
from flask.testing import FlaskClient

from api.microversions import HEADER, MAXIMUM, MINIMUM, Microversion
from api.nova.operation import OPERATIONS, Operation
from tests.contract.api_samples import COMPUTE, SERVICE
from tests.contract.nova_schemas import NovaSchemas
from tests.contract.test_answers_by_microversion import path_of

EVERY_VERSION = [Microversion(2, minor) for minor in range(MINIMUM.minor, MAXIMUM.minor + 1)]
#: by the identity of the schema, which lives as long as Nova's module
VALIDATORS: dict[int, jsonschema_rs.Draft202012Validator] = {}


@pytest.fixture(scope="module")
def schemas() -> NovaSchemas:
    return NovaSchemas()


def test_every_answer_is_valid_by_novas_own_schema(api: Flask, schemas: NovaSchemas, subtests: pytest.Subtests) -> None:
    client = api.test_client()
    for operation in OPERATIONS.values():
        if operation.method == "GET":
            with subtests.test(operation=operation.name):
                for version in EVERY_VERSION:
                    check(client, schemas, operation, version)


def check(client: FlaskClient, schemas: NovaSchemas, operation: Operation, version: Microversion) -> None:
    answer = client.get(path_of(operation, version), headers=asking_for(version))
    if not schemas.serves(operation.method, operation.path, version):
        assert answer.status_code == 404, version
        return
    assert answer.status_code == 200, (version, answer.text)
    schema = schemas.answer(operation.method, operation.path, version)
    assert schema is not None
    assert list(complaints(schema, answer.json)) == [], version


def test_the_version_documents_are_valid(api: Flask, schemas: NovaSchemas) -> None:
    client = api.test_client()
    assert list(complaints(schemas.named("versions", "index_response"), client.get("/").json)) == []
    shown = schemas.answer("GET", "/", MAXIMUM)
    assert shown is not None
    for path in ("/v2.1", "/v2.1/"):
        for version in EVERY_VERSION:
            answer = client.get(path, headers=asking_for(version))
            assert answer.status_code == 200
            assert list(complaints(shown, answer.json)) == [], version


SWITCHES: list[tuple[str, dict[str, Any], Microversion]] = [
    ("enable", {}, MINIMUM),
    ("disable", {}, MINIMUM),
    ("disable-log-reason", {"disabled_reason": "new disks"}, MINIMUM),
    ("force-down", {"forced_down": True}, Microversion(2, 11)),
]
CHANGES: list[dict[str, Any]] = [{"status": "disabled", "disabled_reason": "new disks"}, {"status": "enabled"}, {"forced_down": True}]


def test_the_answers_to_switches_are_valid(api: Flask, schemas: NovaSchemas, subtests: pytest.Subtests) -> None:
    client = api.test_client()
    for version in EVERY_VERSION:
        with subtests.test(version=str(version)):
            schema = schemas.answer("PUT", "/os-services/{id}", version)
            assert schema is not None
            for word, body in switches_of(version):
                answer = client.put(f"/v2.1/os-services/{word}", json=body, headers=asking_for(version))
                assert answer.status_code == 200, answer.text
                assert list(complaints(schema, answer.json)) == []


def switches_of(version: Microversion) -> Iterator[tuple[str, dict[str, Any]]]:
    """What a client can send to switch node5, as (end of the path, body)."""
    if version >= Microversion(2, 53):
        yield from ((SERVICE, body) for body in CHANGES)
    else:
        yield from ((word, COMPUTE | body) for word, body, since in SWITCHES if since <= version)


def asking_for(version: Microversion) -> dict[str, str]:
    return {HEADER: f"compute {version}"}


def complaints(schema: dict[str, Any], answer: Any) -> Iterator[str]:
    """What is wrong with ``answer``, each with its place."""
    found = VALIDATORS.get(id(schema))
    if found is None:
        found = VALIDATORS[id(schema)] = jsonschema_rs.Draft202012Validator(schema, validate_formats=True, formats={"date-time": is_moment})
    for error in found.iter_errors(answer):
        yield f"{error.instance_path}: {error.message}"


def is_moment(text: str) -> bool:
    """What Nova takes for one: ISO 8601, with or without a zone."""
    try:
        datetime.fromisoformat(text)
    except ValueError:
        return False
    return True


def test_a_wrong_answer_is_noticed(schemas: NovaSchemas) -> None:
    schema = schemas.answer("GET", "/os-migrations", MAXIMUM)
    assert schema is not None
    assert list(complaints(schema, {"migrations": [{"id": "1"}]}))
    assert list(complaints(schema, {"migrations": [], "others": 1}))
    assert not list(complaints(schema, {"migrations": []}))
