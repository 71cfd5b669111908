"""schemathesis finds nothing wrong, neither with /v1 nor with Nova's wire: right and wrong requests alike are answered as documented."""

from typing import Any

import pytest
import schemathesis
from flask import Flask
from hypothesis import HealthCheck, settings
from schemathesis.specs.openapi.checks import negative_data_rejection, positive_data_acceptance
from schemathesis.specs.openapi.schemas import OpenApiSchema

from api.microversions import HEADER, MAXIMUM
from api.nova import openapi

VERSION = {HEADER: f"compute {MAXIMUM}"}


@pytest.fixture
def v1_schema(api: Flask) -> OpenApiSchema:
    return schemathesis.openapi.from_wsgi("/v1/openapi.json", api)


@pytest.fixture
def nova_schema(api: Flask) -> OpenApiSchema:
    return schemathesis.openapi.from_wsgi("/v1/openapi-nova.json", api)


v1 = schemathesis.pytest.from_fixture("v1_schema")
nova = schemathesis.pytest.from_fixture("nova_schema")


@v1.parametrize()
@settings(max_examples=15, suppress_health_check=list(HealthCheck))
def test_answers_of_v1_are_as_the_document_says(case: Any) -> None:
    # which backends there are is told by the settings, not by the schema
    excluded = [positive_data_acceptance] if (case.method, case.path) == ("POST", "/v1/volumes") else []
    case.call_and_validate(excluded_checks=[*excluded, *not_sent(case)])


def not_sent(case: Any) -> list[Any]:
    """The check for wrong data, if what is wrong in the query are objects and arrays of nothing, which no URL has a word for."""
    return [negative_data_rejection] if any(map(_has_no_word, (case.query or {}).values())) else []


def _has_no_word(value: object) -> bool:
    return isinstance(value, dict) or (isinstance(value, list) and all(one is None or isinstance(one, dict | list) for one in value))


def expressions() -> set[str]:
    """Parameters that take regular expressions: of Python, which JSON schemas have no format for."""
    parameters = [parameter for path in openapi.document()["paths"].values() for one in path.values() for parameter in one["parameters"]]
    return {parameter["name"] for parameter in parameters if "python-regex" in str(parameter["schema"])}


#: parameters that may be refused though they are as the document says, since Nova refuses them; a request without them may not be
REFUSED_BY_WHAT_THERE_IS = {
    "marker": "of a row that there is not",
    "instance_name": "an expression that could take for ever: lmigrate/db/stores/name_pattern.py",
    "status": "a word that Nova does not know",
    "sort_dir": "a word other than asc and desc, or more of them than of sort_key",
    "changes-before": "a moment before changes-since",
    "hypervisor_hostname_pattern": "together with limit or marker",
    "root_device_name": "lmigrate does not offer this filter, and a longer list than was meant would be dangerous",
    "launch_index": "an expression that could take for ever",
    **dict.fromkeys(expressions(), "a word that is no regular expression of Python's, or one that could take for ever"),
}


@nova.parametrize()
@settings(max_examples=6, suppress_health_check=list(HealthCheck))
def test_answers_of_novas_wire_are_as_the_document_says(case: Any) -> None:
    has_nul = "\\x00" in repr((case.query, case.body, case.path_parameters))  # which is in no name
    may_be_refused = has_nul or REFUSED_BY_WHAT_THERE_IS.keys() & (case.query or {}).keys()
    excluded = [positive_data_acceptance] if may_be_refused else []
    case.call_and_validate(headers=VERSION, excluded_checks=[*excluded, *not_sent(case)])


def test_what_may_be_refused_can_be_asked_for() -> None:
    paths = openapi.document()["paths"].values()
    known = {parameter["name"] for path in paths for one in path.values() for parameter in one["parameters"]}
    assert known >= REFUSED_BY_WHAT_THERE_IS.keys()
    assert "name" in expressions()
