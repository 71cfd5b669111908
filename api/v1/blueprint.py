"""The blueprint of lmigrate's own API."""

from __future__ import annotations

from flask import Blueprint

v1 = Blueprint("v1", __name__, url_prefix="/v1")
