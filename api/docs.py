"""Writes docs/reference/api.md from the schemas: ``python -m api.docs``; ``--check`` says whether it is stale."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

from api import contract
from api.app import create_app
from api.errors import FAULT_NAMES
from api.microversions import MAXIMUM, MINIMUM, Microversion
from api.nova.operation import OPERATIONS, Operation, shape_at, versions_of
from api.nova.versioned import ALWAYS, Span, Versioned, model_at, spans

PAGE = Path(__file__).parent.parent / "docs" / "reference" / "api.md"

HEAD = f"""<!-- Written by `python -m api.docs` from the schemas. Do not edit. -->
# HTTP API

Two APIs on one port (`LMIGRATE_API__BIND`, 127.0.0.1:8774 unless set):

- [`/v2.1`](#novas-wire): Nova's compute API, microversions {MINIMUM} to {MAXIMUM}, as far as live migration needs it.
- [`/v1`](#v1): lmigrate's own: what Nova has no word for. OpenAPI 3.1 at `/v1/openapi.json`.

Besides: `GET /healthz` (the process lives), `GET /readyz` (database and broker answer; 503 says which does not),
`GET /` and `GET /v2.1` (version documents).

Who may do what: [operations and roles](operations.md). A token is sent as `Authorization: Bearer …`, as `X-Auth-Token: …` or with its
name as HTTP basic; the version documents, `/healthz` and `/readyz` need none. On loopback addresses nobody is asked unless
`LMIGRATE_AUTH__MODE=token`. `POST /identity/v3/auth/tokens` is a small Keystone for clients that want one. 401: no good token; 403:
its role does not do; 429: too many requests, and `Retry-After` says when to come back.

Bodies are JSON (`Content-Type: application/json`, else 415) of at most `LMIGRATE_API__MAX_BODY_BYTES` (else 413).
Every answer carries its request id in `x-openstack-request-id` and `x-compute-request-id`.

Samples of requests and answers are in [`docs/api_samples`](../api_samples); the tests replay them.
"""

NOVA = f"""
## Nova's wire

The microversion is asked for with `OpenStack-API-Version: compute X.Y` or the older
`X-OpenStack-Nova-API-Version: X.Y`; without either it is {MINIMUM}, and `latest` is {MAXIMUM}. Others are refused with 406.
Errors are Nova's faults, `{{"<name>": {{"code": N, "message": "…"}}}}`:

| status | name |
|---|---|
"""


def page() -> str:
    """The whole page."""
    create_app("127.0.0.1:8774")
    faults = "".join(f"| {status} | `{name}` |\n" for status, name in FAULT_NAMES.items())
    return HEAD + NOVA + faults + "| any other | `computeFault` |\n" + "".join(_nova()) + "".join(_v1())


def _nova() -> Iterator[str]:
    for operation in sorted(OPERATIONS.values(), key=lambda one: (one.path, one.method)):
        since = versions_of(operation)
        path = operation.path.replace("<", "{").replace(">", "}")
        yield f"\n### {operation.method} /v2.1{path}\n\n{operation.summary} Answers {operation.status}."
        yield f" Microversions {since}.\n" if since else "\n"
        yield from _inputs("Query", operation.query)
        yield from _inputs("Body", operation.body)
        if operation.answer is not None:
            yield from _answer(operation)


def _inputs(title: str, shapes: Any) -> Iterator[str]:
    for version in shapes:
        schema = shape_at(shapes, Microversion.parse(version)).model_json_schema(by_alias=True)
        if not schema.get("properties"):
            continue
        yield f"\n{title} from {version}:\n\n| name | type | required |\n|---|---|---|\n"
        for name, kind, is_required in _properties(schema, schema):
            yield f"| `{name}` | {kind} | {'yes' if is_required else ''} |\n"


def _properties(schema: dict[str, Any], root: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, str, bool]]:
    for name, found in schema.get("properties", {}).items():
        target = root["$defs"][found["$ref"].rpartition("/")[2]] if "$ref" in found else found
        is_required = name in schema.get("required", [])
        if "properties" in target:
            yield from _properties(target, root, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", _kind(target), is_required


def _kind(schema: dict[str, Any]) -> str:
    """A JSON schema in a few words."""
    if "anyOf" in schema:
        return " or ".join(dict.fromkeys(_kind(one) for one in schema["anyOf"]))
    if "$ref" in schema:
        return f"`{schema['$ref'].rpartition('/')[2]}`"
    if "enum" in schema:
        return _words(schema["enum"])
    if schema.get("type") == "array":
        return f"array of {_kind(schema.get('items', {}))}"
    limits = {"minLength": "at least {} characters", "maxLength": "at most {} characters", "minimum": "≥ {}", "maximum": "≤ {}"}
    said = [text.format(schema[key]) for key, text in limits.items() if key in schema]
    base = schema.get("format") or schema.get("const") or schema.get("type") or "any"
    return f"{base} ({', '.join(said)})" if said else str(base)


def _words(values: list[Any]) -> str:
    if True in values:
        return "boolean, also as a string" + (' or "auto"' if "auto" in values else "")
    return ", ".join(f"`{json.dumps(value)}`" for value in values)


def _answer(operation: Operation) -> Iterator[str]:
    assert operation.answer is not None  # noqa: S101 - the caller looked
    yield "\nAnswer:\n\n| field | type | microversions |\n|---|---|---|\n"
    for name, kind, versions in _fields(operation.answer, ""):
        yield f"| `{name}` | {kind} | {versions} |\n"


def _fields(model: type[Versioned], prefix: str, around: Span = ALWAYS) -> Iterator[tuple[str, str, str]]:
    for name, alias, own in spans(model):
        span = Span(max(own.first, around.first), min(own.last, around.last))
        nested = _nested(model, name)
        if nested is not None:
            yield from _fields(nested, f"{prefix}{alias}.", span)
        else:
            yield f"{prefix}{alias}", _type_of(model, alias, own), "" if span == ALWAYS else f"{span.first} – {span.last}"


def _nested(model: type[Versioned], name: str) -> type[Versioned] | None:
    """The class inside a field, or inside a list of it."""
    annotation = model.model_fields[name].annotation
    candidates = [annotation, *get_args(annotation)]
    inner = [one for candidate in candidates for one in (candidate, *get_args(candidate))]
    return next((one for one in inner if isinstance(one, type) and issubclass(one, Versioned)), None)


def _type_of(model: type[Versioned], alias: str, span: Span) -> str:
    schema = model_at(model, span.first).model_json_schema(by_alias=True)
    return _kind(schema["properties"][alias])


def _v1() -> Iterator[str]:
    app = create_app("127.0.0.1:8774")
    with app.app_context():
        document = contract.spec()
    yield "\n## /v1\n\nErrors are RFC 9457 problem documents (`application/problem+json`).\n"
    for path, operations in sorted(document["paths"].items()):
        for method, operation in operations.items():
            statuses = ", ".join(sorted(operation["responses"]))
            yield f"\n### {method.upper()} {path}\n\n{operation['summary']} Answers {statuses}.\n"
            yield from _parameters(operation)
            yield from _shape("Body", operation.get("requestBody"), document)
            yield from _shape("Answer", operation["responses"]["200"], document)


def _parameters(operation: dict[str, Any]) -> Iterator[str]:
    found = [one for one in operation["parameters"] if one["in"] == "query"]
    if found:
        yield "\nQuery:\n\n| name | type | |\n|---|---|---|\n"
    for one in found:
        yield f"| `{one['name']}` | {_kind(one['schema'])} | {one.get('description') or one['schema'].get('description', '')} |\n"


def _shape(title: str, content: dict[str, Any] | None, document: dict[str, Any]) -> Iterator[str]:
    if content is None:
        return
    schemas = document["components"]["schemas"]
    reference = content["content"]["application/json"]["schema"]["$ref"]
    yield f"\n{title}:\n\n| field | type | |\n|---|---|---|\n"
    for name, kind, description in _described(schemas[reference.rpartition("/")[2]], schemas, ""):
        yield f"| `{name}` | {kind} | {description} |\n"


def _described(schema: dict[str, Any], schemas: dict[str, Any], prefix: str) -> Iterator[tuple[str, str, str]]:
    for name, found in schema["properties"].items():
        reference = found.get("$ref") or found.get("items", {}).get("$ref")
        target = schemas[reference.rpartition("/")[2]] if reference else found
        if "properties" in target:
            yield from _described(target, schemas, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", _kind(target), found.get("description", "")


def main() -> None:
    """Write the page, or with ``--check`` exit 1 when it is stale."""
    wanted = page()
    if "--check" not in sys.argv[1:]:
        PAGE.parent.mkdir(parents=True, exist_ok=True)
        PAGE.write_text(wanted)
    elif not PAGE.exists() or PAGE.read_text() != wanted:
        raise SystemExit("docs/reference/api.md is stale: run `python -m api.docs`")


if __name__ == "__main__":
    main()
