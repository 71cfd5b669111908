"""schemathesis finds nothing wrong, neither with /v1 nor with Nova's wire: right and wrong requests alike are answered as documented."""

from typing import Any

import pytest
import schemathesis
from flask import Flask
from hypothesis import HealthCheck, settings
from schemathesis.specs.openapi.checks import negative_data_rejection, positive_data_acceptance
from schemathesis.specs.openapi.schemas import OpenApiSchema

from api.microversions import HEADER, MAXIMUM

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
    case.call_and_validate(excluded_checks=excluded)


@nova.parametrize()
@settings(max_examples=6, suppress_health_check=list(HealthCheck))
def test_answers_of_novas_wire_are_as_the_document_says(case: Any) -> None:
    # Nova refuses much that no schema says (a reason with "enabled", a marker of nothing), and takes unknown parameters here and there
    case.call_and_validate(headers=VERSION, excluded_checks=[positive_data_acceptance, negative_data_rejection])
