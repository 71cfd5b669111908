"""/v1/openapi.json: the contract, for machines."""

from __future__ import annotations

from flask import Response, jsonify

from api.contract import spec
from api.v1.blueprint import v1


@v1.get("/openapi.json")
def show_openapi() -> Response:
    """The OpenAPI 3.1 document of ``/v1``."""
    return jsonify(spec())
