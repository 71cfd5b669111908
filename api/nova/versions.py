"""GET / and /v2.1: what clients ask before anything else, and without credentials."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, jsonify

from api.microversions import MAXIMUM, MINIMUM
from api.pagination import url

versions = Blueprint("versions", __name__)

_MEDIA = {"base": "application/json", "type": "application/vnd.openstack.compute+json;version=2.1"}


@versions.get("/")
def index() -> Response:
    """List the versions of the compute API: one."""
    return jsonify({"versions": [_version()]})


@versions.get("/v2.1", strict_slashes=False)
def show() -> Response:
    """Describe v2.1."""
    return jsonify({"version": {**_version(), "media-types": [_MEDIA]}})


def _version() -> dict[str, Any]:
    return {
        "id": "v2.1",
        "status": "CURRENT",
        "version": str(MAXIMUM),
        "min_version": str(MINIMUM),
        "updated": "2013-07-23T11:33:21Z",
        "links": [{"rel": "self", "href": url("v2.1/")}],
    }
