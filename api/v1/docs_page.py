"""/v1/docs: the OpenAPI documents as one page to read, with nothing from elsewhere in it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from flask import render_template

from api.contract import spec
from api.microversions import MAXIMUM
from api.nova import openapi as nova
from api.v1.blueprint import v1

Spec = dict[str, Any]


@dataclass(frozen=True)
class Row:
    """One field or parameter."""

    name: str
    kind: str
    description: str


@dataclass(frozen=True)
class Shown:
    """One operation."""

    method: str
    path: str
    summary: str
    tables: list[tuple[str, list[Row]]]
    statuses: str


@v1.get("/docs")
def show_docs() -> str:
    """Both APIs as a page to read."""
    parts = [("/v1", _operations(spec())), ("Nova's wire", _operations(nova.document()))]
    return render_template("docs.html", parts=parts, microversion=MAXIMUM)


def _operations(document: Spec) -> list[Shown]:
    definitions = document.get("components", {}).get("schemas", {})
    return [
        Shown(method.upper(), path, one.get("summary", ""), list(_tables(one, definitions)), ", ".join(sorted(one["responses"])))
        for path, methods in sorted(document["paths"].items())
        for method, one in methods.items()
    ]


def _tables(operation: Spec, definitions: Spec) -> Iterator[tuple[str, list[Row]]]:
    parameters = [Row(one["name"], kind(one["schema"], definitions), _described(one)) for one in operation.get("parameters", [])]
    answer: Spec = next((found for status, found in operation["responses"].items() if status.startswith("2")), {})
    for heading, rows in (("Parameter", parameters), ("Body", _fields(operation.get("requestBody", {}), definitions))):
        if rows:
            yield heading, rows
    if rows := _fields(answer, definitions):
        yield "Answer", rows


def _described(parameter: Spec) -> str:
    return str(parameter.get("description") or parameter["schema"].get("description", ""))


def _fields(content: Spec, definitions: Spec) -> list[Row]:
    schema = content.get("content", {}).get("application/json", {}).get("schema", {})
    return list(_rows(schema, definitions, ""))


def _rows(schema: Spec, definitions: Spec, prefix: str) -> Iterator[Row]:
    for name, found in _resolved(schema, definitions).get("properties", {}).items():
        inner = _resolved(found.get("items", found), definitions)
        if "properties" in inner:
            yield from _rows(inner, definitions, f"{prefix}{name}.")
        else:
            yield Row(f"{prefix}{name}", kind(found, definitions), str(found.get("description", "")))


def kind(schema: Spec, definitions: Spec) -> str:
    """The type of a schema in a few words."""
    found = _resolved(schema, definitions)
    if "anyOf" in found:
        return " or ".join(dict.fromkeys(kind(one, definitions) for one in found["anyOf"]))
    if "enum" in found:
        return ", ".join(str(one) for one in found["enum"])
    if found.get("type") == "array":
        return f"array of {kind(found.get('items', {}), definitions)}"
    return str(found.get("format") or found.get("const") or found.get("type") or "any")


def _resolved(schema: Spec, definitions: Spec) -> Spec:
    found: Spec = definitions[schema["$ref"].rpartition("/")[2]] if "$ref" in schema else schema
    return found
