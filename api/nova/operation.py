"""One operation of Nova's wire: since when it exists, what it takes in which microversion, what it answers.

The decorator checks the request before the view runs and writes the view's answer
as the asked-for microversion has it.  The table that it fills is what the API
reference is printed from.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import wraps
from typing import Any

from flask import Response, jsonify, request
from pydantic import BaseModel, ValidationError

from api.body import json_object
from api.errors import NotFound
from api.microversions import Microversion, current
from api.nova.leniency import Many, Once
from api.nova.versioned import ALWAYS, Span, Versioned, dump
from lmigrate.errors import RequestError

View = Callable[..., Any]
ByVersion = Mapping[str, type[BaseModel]]  # the microversion that a shape came with → the shape


class InvalidBody(RequestError):
    """Invalid input for field/attribute {field}. Value: {value}. {reason}"""


class InvalidQuery(RequestError):
    """Invalid input for query parameters {field}. Value: {value}. {reason}"""


@dataclass(frozen=True)
class Operation:
    """What the reference prints about one operation."""

    name: str
    method: str
    path: str
    summary: str
    span: Span = ALWAYS
    query: ByVersion = field(default_factory=dict)
    body: ByVersion = field(default_factory=dict)
    answer: type[Versioned] | None = None
    status: int = 200


OPERATIONS: dict[str, Operation] = {}


def operation(
    method: str,
    path: str,
    *,
    span: Span = ALWAYS,
    query: ByVersion | None = None,
    body: ByVersion | None = None,
    answer: type[Versioned] | None = None,
    status: int = 200,
) -> Callable[[View], View]:
    """Declare a view; it gets ``query`` and ``body`` of the request's microversion as keyword arguments."""

    def declare(view: View) -> View:
        name = f"{view.__module__.rpartition('.')[2]}.{view.__name__}"
        declared = Operation(name, method, path, _summary(view), span, query or {}, body or {}, answer, status)
        OPERATIONS[name] = declared

        @wraps(view)
        def call(**arguments: Any) -> Response:
            _require_version(span)
            if query is not None:
                arguments["query"] = parse_query(query)
            if body is not None:
                arguments["body"] = parse_body(body)
            return _respond(view(**arguments), status)

        return call

    return declare


def shape_at(shapes: ByVersion, version: Microversion) -> type[BaseModel]:
    """The newest of ``shapes`` that ``version`` has."""
    known = sorted((Microversion.parse(text), shape) for text, shape in shapes.items())
    return [shape for first, shape in known if first <= version][-1]


def parse_query(shapes: ByVersion) -> BaseModel:
    """The query string; where a parameter is given twice the last counts, as in Nova, unless its field says otherwise.

    Raises:
        InvalidQuery: it does not fit.
    """
    shape = shape_at(shapes, current())
    try:
        return shape.model_validate(_given(shape))
    except ValidationError as error:
        raise _complaint(InvalidQuery, error) from error


def _given(shape: type[BaseModel]) -> dict[str, Any]:
    found: dict[str, Any] = dict(request.args.items(multi=True))
    for name, field_info in shape.model_fields.items():
        wire = field_info.alias or name
        values = request.args.getlist(wire)
        if values and Many() in field_info.metadata:
            found[wire] = values
        elif len(values) > 1 and Once() in field_info.metadata:
            raise InvalidQuery(field=wire, value=_shown(values), reason=f"{_shown(values)} is too long")
    return found


def parse_body(shapes: ByVersion) -> BaseModel:
    """The request body.

    Raises:
        MalformedBody: it is no JSON object.
        InvalidBody: it does not fit.
    """
    try:
        return shape_at(shapes, current()).model_validate(json_object())
    except ValidationError as error:
        raise _complaint(InvalidBody, error) from error


#: as jsonschema, whose words Nova's clients see, calls what pydantic asks for
_JSON_TYPES = {"string_type": "string", "model_type": "object", "model_attributes_type": "object", "dict_type": "object"}


def _complaint(kind: type[RequestError], error: ValidationError) -> RequestError:
    first = error.errors(include_url=False, include_context=False)[0]
    path = [part for part in first["loc"] if isinstance(part, str)]  # of several values of one parameter it is that parameter
    if first["type"] == "missing":
        path, reason = path[:-1], f"{path[-1]!r} is a required property"
    elif first["type"] == "extra_forbidden":
        path, reason = path[:-1], f"Additional properties are not allowed ({path[-1]!r} was unexpected)"
        return kind(field=path[-1], value=_shown({first["loc"][-1]: first["input"]}), reason=reason) if path else kind(f"{reason}.")
    elif first["type"] in _JSON_TYPES:
        reason = f"{_shown(first['input'])} is not of type {_JSON_TYPES[first['type']]!r}"
    else:
        reason = first["msg"].removeprefix("Value error, ")
    return kind(field=path[-1], value=_shown(first["input"]), reason=reason) if path else kind(f"{reason}.")


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 200 else f"{text[:200]}…"


def _require_version(span: Span) -> None:
    if not span.first <= current() <= span.last:
        raise NotFound


def _respond(value: Any, status: int) -> Response:
    if value is None:
        return Response(status=status, mimetype="application/json")
    if isinstance(value, Response):
        return value
    made = jsonify(dump(value, current()))
    made.status_code = status
    return made


def _summary(view: View) -> str:
    return (view.__doc__ or "").strip().partition("\n")[0]


def versions_of(declared: Operation) -> str:
    """``2.24 – 2.96`` for the docs, empty when it was always there."""
    if declared.span == ALWAYS:
        return ""
    return f"{declared.span.first} – {declared.span.last}"
