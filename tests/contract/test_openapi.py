"""schemathesis finds nothing wrong with /v1."""

from typing import Any

import pytest
import schemathesis
from flask import Flask
from hypothesis import HealthCheck, settings
from schemathesis.specs.openapi.checks import positive_data_acceptance
from schemathesis.specs.openapi.schemas import OpenApiSchema


@pytest.fixture
def v1_schema(api: Flask) -> OpenApiSchema:
    return schemathesis.openapi.from_wsgi("/v1/openapi.json", api)


schema = schemathesis.pytest.from_fixture("v1_schema")


@schema.parametrize()
@settings(max_examples=25, suppress_health_check=list(HealthCheck))
def test_answers_are_as_the_document_says(case: Any) -> None:
    # which backends there are is told by the settings, not by the schema
    excluded = [positive_data_acceptance] if (case.method, case.path) == ("POST", "/v1/volumes") else []
    case.call_and_validate(excluded_checks=excluded)
