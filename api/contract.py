"""The contract of ``/v1``: pydantic models checked by spectree, which also writes the OpenAPI document.

The only module that knows spectree.  (Nova's wire has a shape per microversion,
which spectree cannot say: see ``api.nova.operation``.)
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any, cast

from pydantic import BaseModel, ConfigDict, Field
from spectree import Response as SpecResponse
from spectree import SpecTree

from api.complaints import needed, shown
from lmigrate.errors import InvalidInput

Spec = dict[str, Any]


class Problem(BaseModel):
    """An RFC 9457 problem document: the answer to everything that went wrong."""

    type: str = Field(description="Stable name of the kind of problem, as a URN.")
    title: str = Field(description="The HTTP status in words.")
    status: int
    detail: str = Field(description="One sentence for a person: what is wrong, and what to do.")
    instance: str = Field(description="The request's id, as a URN; the log of the API has it too.")
    code: str = Field(description="Stable name of the kind of problem, to match on.")


class Shape(BaseModel):
    """Base of everything that ``/v1`` takes and gives: unknown fields are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")


def _refuse(_request: Any, _response: Any, error: Any, _instance: Any, _adapter: Any) -> None:
    if error is None:
        return
    first = error.errors(include_url=False)[0]
    field = ".".join(str(part) for part in first["loc"]) or "body"
    sent = "" if first["type"] == "missing" else f": {shown(first.get('input'))}"
    raise InvalidInput(f"Invalid value for {field}{sent}. {needed(first)}.")


def _raise(_request: Any, _response: Any, error: Any, _instance: Any, _adapter: Any) -> None:
    if error is not None:  # an answer that breaks its own schema is our fault, not the client's
        raise error


_tree = SpecTree(
    "flask",
    title="lmigrate",
    description="Live migration between plain libvirt hosts: what Nova's wire has no word for.",
    version="v1",
    path="openapi",  # not served: spectree leaves out every route that begins with it
    mode="strict",
    page_templates={},
    validation_error_status=400,
    validation_error_model=Problem,
    before=_refuse,
    after=_raise,
    naming_strategy=lambda model: str(model.__name__),
    nested_naming_strategy=lambda _parent, child: str(child),
)


def spec() -> Spec:
    """The OpenAPI document of the present application."""
    document = cast("Spec", copy.deepcopy(_tree.spec))
    for path in document["paths"].values():
        for operation in path.values():
            for status, response in operation["responses"].items():
                if status != "200":  # spectree knows one media type only
                    response["content"] = {"application/problem+json": response["content"]["application/json"]}
    return document


def contract(
    *,
    answer: type[BaseModel],
    query: type[BaseModel] | None = None,
    body: type[BaseModel] | None = None,
    errors: tuple[int, ...] = (),
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Declare a view of ``/v1``: it gets ``query`` and ``json`` as keyword arguments and returns ``answer``."""
    declared = {400, 401, 403, 429, 500, 503, *errors} | ({413, 415} if body else set())
    responses = {"HTTP_200": answer} | {f"HTTP_{status}": Problem for status in sorted(declared)}
    resp = SpecResponse(**responses)

    def declare(view: Callable[..., Any]) -> Callable[..., Any]:
        checked = _tree.validate(query=query, json=body, resp=resp, operation_id=view.__name__)(view)
        return cast("Callable[..., Any]", checked)

    return declare
