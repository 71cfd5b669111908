"""Nova's wire as OpenAPI 3.1, in one microversion: what the declared operations take and answer."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel

from api.errors import FAULT_NAMES
from api.microversions import HEADER, MAXIMUM, Microversion
from api.nova.operation import OPERATIONS, Operation, shape_at
from api.nova.versioned import model_at

Spec = dict[str, Any]

#: from 2.53 on anything else in their place is refused; before, it is a number or what to do
_UUIDS = {"hypervisor_id", "service_id"}
_FAULT: Spec = {
    "type": "object",
    "minProperties": 1,
    "maxProperties": 1,
    "propertyNames": {"enum": [*dict.fromkeys(FAULT_NAMES.values()), "computeFault"]},
    "additionalProperties": {
        "type": "object",
        "properties": {"code": {"type": "integer"}, "message": {"type": "string"}},
        "required": ["code", "message"],
    },
}


def document(version: Microversion = MAXIMUM) -> Spec:
    """The OpenAPI document of all operations that ``version`` has."""
    paths: dict[str, Spec] = {}
    for operation in OPERATIONS.values():
        if operation.span.first <= version <= operation.span.last:
            path = "/v2.1" + operation.path.replace("<", "{").replace(">", "}")
            paths.setdefault(path, {})[operation.method.lower()] = _operation(operation, version)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "lmigrate: Nova's wire",
            "version": str(version),
            "description": f"As it is when every request has the header `{HEADER}: compute {version}`.",
        },
        "paths": paths,
    }


def _operation(operation: Operation, version: Microversion) -> Spec:
    made: Spec = {
        "operationId": operation.name,
        "summary": operation.summary,
        "parameters": [*_path(operation, version), *_query(operation, version)],
        "responses": {str(operation.status): _answer(operation, version), "default": _response("A fault.", _FAULT)},
    }
    if operation.body:
        body = _schema(shape_at(operation.body, version), "validation")
        made["requestBody"] = {"required": True, "content": {"application/json": {"schema": body}}}
    return made


def _answer(operation: Operation, version: Microversion) -> Spec:
    if operation.answer is None:
        return {"description": "Done, or begun; the body is empty."}
    return _response(operation.summary, _schema(model_at(operation.answer, version), "serialization"))


def _response(description: str, schema: Spec) -> Spec:
    return {"description": description, "content": {"application/json": {"schema": schema}}}


def _path(operation: Operation, version: Microversion) -> Iterator[Spec]:
    for name in re.findall(r"<(\w+)>", operation.path):
        is_uuid = name in _UUIDS and version >= Microversion(2, 53)
        schema = {"type": "string", **({"format": "uuid"} if is_uuid else {"minLength": 1, "maxLength": 255})}
        yield {"name": name, "in": "path", "required": True, "schema": schema}


def _query(operation: Operation, version: Microversion) -> Iterator[Spec]:
    if not operation.query:
        return
    schema = _schema(shape_at(operation.query, version), "validation")
    for name, found in schema.get("properties", {}).items():
        yield {"name": name, "in": "query", "required": name in schema.get("required", []), "schema": found}


def _schema(model: type[BaseModel], mode: str) -> Spec:
    """With everything that it refers to in its place, as a document has one place for all."""
    made = model.model_json_schema(by_alias=True, mode="validation" if mode == "validation" else "serialization")
    inlined: Spec = _inlined(made, made.get("$defs", {}))
    return inlined


def _inlined(value: Any, definitions: Spec) -> Any:
    if isinstance(value, dict):
        if "$ref" in value:
            return _inlined(definitions[value["$ref"].rpartition("/")[2]], definitions)
        return {key: _inlined(one, definitions) for key, one in value.items() if key != "$defs"}
    return [_inlined(one, definitions) for one in value] if isinstance(value, list) else value
