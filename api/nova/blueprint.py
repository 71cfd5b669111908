"""The blueprint of Nova's wire; its routes work with and without a trailing slash."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from flask import Blueprint

from api.nova.operation import ByVersion, operation
from api.nova.versioned import ALWAYS, Span, Versioned

nova = Blueprint("nova", __name__, url_prefix="/v2.1")


def route(
    method: str,
    path: str,
    *,
    span: Span = ALWAYS,
    query: ByVersion | None = None,
    body: ByVersion | None = None,
    answer: type[Versioned] | None = None,
    status: int = 200,
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Declare an operation and put it at ``path`` (Flask's rule syntax)."""

    def declare(view: Callable[..., Any]) -> Callable[..., Any]:
        checked = operation(method, path, span=span, query=query, body=body, answer=answer, status=status)(view)
        endpoint = f"{view.__module__.rpartition('.')[2]}_{view.__name__}"
        nova.add_url_rule(path, endpoint, checked, methods=[method], strict_slashes=False)
        return checked

    return declare
