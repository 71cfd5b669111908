"""/v1/openapi.json and /v1/openapi-nova.json: the contracts, for machines."""

from __future__ import annotations

from flask import Response, jsonify

from api.contract import spec
from api.nova import openapi as nova
from api.v1.blueprint import v1


@v1.get("/openapi.json")
def show_openapi() -> Response:
    """The OpenAPI 3.1 document of ``/v1``."""
    return jsonify(spec())


@v1.get("/openapi-nova.json")
def show_openapi_nova() -> Response:
    """The OpenAPI 3.1 document of Nova's wire, at the newest microversion."""
    return jsonify(nova.document())
