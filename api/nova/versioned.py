"""Answers whose fields come and go with microversions, declared once.

    class Server(Versioned):
        id: str
        locked: Annotated[bool, since("2.9")]
        flavor_link: Annotated[FlavorLink, until("2.46"), Field(serialization_alias="flavor")]
        flavor: Annotated[Flavor, since("2.47")]

``dump`` writes what one microversion has, ``model_at`` makes the class that has
exactly these fields: the tests check answers against it and the docs print it.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from types import UnionType
from typing import Annotated, Any, Union, cast, get_args, get_origin

from pydantic import BaseModel, ConfigDict, Field, create_model
from pydantic.fields import FieldInfo

from api.microversions import MAXIMUM, MINIMUM, Microversion


@dataclass(frozen=True)
class Span:
    """The microversions that have a field, both ends included."""

    first: Microversion = MINIMUM
    last: Microversion = MAXIMUM


@dataclass(frozen=True)
class OmitNone:
    """The key is absent, not null, when there is nothing to say."""


#: what JSON has already: most values are
_PLAIN = frozenset({str, int, float, bool, type(None)})

#: in every microversion that is served
ALWAYS = Span()


def since(version: str) -> Span:
    """The field came with ``version``."""
    return Span(first=Microversion.parse(version))


def until(version: str) -> Span:
    """The field was last seen in ``version``."""
    return Span(last=Microversion.parse(version))


def between(first: str, last: str) -> Span:
    """The field came with ``first`` and was last seen in ``last``."""
    return Span(Microversion.parse(first), Microversion.parse(last))


class Versioned(BaseModel):
    """Base of everything that Nova's wire answers with."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class OnWire(BaseModel):
    """Base of the classes that ``model_at`` makes."""

    model_config = ConfigDict(extra="forbid")


def dump(value: Any, version: Microversion) -> Any:
    """``value`` as JSON types, with the fields that ``version`` has."""
    if type(value) in _PLAIN:
        return value
    if isinstance(value, Versioned):
        said = ((wire, getattr(value, name), omits) for name, wire, omits in _written_at(type(value), version))
        return {wire: one if type(one) in _PLAIN else dump(one, version) for wire, one, omits in said if not (omits and one is None)}
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json", by_alias=True)
    if isinstance(value, list | tuple):
        return [dump(item, version) for item in value]
    if isinstance(value, dict):
        return {key: dump(item, version) for key, item in value.items()}
    return value


@cache
def model_at(model: type[Versioned], version: Microversion) -> type[OnWire]:
    """The class of ``model``'s answers in ``version``: exactly its fields, nothing else allowed."""
    fields: dict[str, Any] = {}
    for name, field in _fields_at(model, version):
        annotation = _annotation_at(field.annotation, version)
        default = None if _omits_none(field) else ...
        extra = [item for item in field.metadata if not isinstance(item, Span | OmitNone)]
        typed = Annotated[(annotation, *extra)] if extra else annotation
        fields[name] = (typed, Field(default, alias=field.serialization_alias or name, description=field.description))
    return cast("type[OnWire]", create_model(model.__name__, __base__=OnWire, __doc__=model.__doc__, **fields))


def spans(model: type[Versioned]) -> list[tuple[str, str, Span]]:
    """Name, name on the wire, and the microversions that have it, of every field; for the docs."""
    return [(name, field.serialization_alias or name, _span(field)) for name, field in model.model_fields.items()]


@cache
def _fields_at(model: type[Versioned], version: Microversion) -> tuple[tuple[str, FieldInfo], ...]:
    found = [(name, field) for name, field in model.model_fields.items()]
    return tuple((name, field) for name, field in found if _span(field).first <= version <= _span(field).last)


@cache
def _written_at(model: type[Versioned], version: Microversion) -> tuple[tuple[str, str, bool], ...]:
    """Name, name on the wire, whether it is left out when None, of each field."""
    return tuple((name, field.serialization_alias or name, _omits_none(field)) for name, field in _fields_at(model, version))


def _span(field: FieldInfo) -> Span:
    return next((item for item in field.metadata if isinstance(item, Span)), ALWAYS)


def _omits_none(field: FieldInfo) -> bool:
    return any(isinstance(item, OmitNone) for item in field.metadata)


def _annotation_at(annotation: Any, version: Microversion) -> Any:
    if isinstance(annotation, type) and issubclass(annotation, Versioned):
        return model_at(annotation, version)
    arguments = get_args(annotation)
    origin = get_origin(annotation)
    if origin is None or not arguments or origin is Annotated:
        return annotation
    inner = tuple(_annotation_at(argument, version) for argument in arguments)
    if origin in {Union, UnionType}:
        return Union[inner]  # noqa: UP007 - built at run time
    return origin[inner] if origin in {list, tuple, dict} else annotation
