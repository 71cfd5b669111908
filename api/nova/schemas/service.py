"""Compute services: the other view of a host."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema
from pydantic.config import JsonDict

from api.nova.leniency import BOOLEAN_WORDS, Boolean, HostName, Reason
from api.nova.schemas.hypervisor import State, Status
from api.nova.times import Moment
from api.nova.versioned import OmitNone, Versioned, since, until

Binary = Annotated[str, Field(strict=True, min_length=1, max_length=255)]


class Service(Versioned):
    """The compute service of a host."""

    number: Annotated[int, until("2.52"), Field(serialization_alias="id")]
    uuid: Annotated[str, since("2.53"), Field(serialization_alias="id")]
    binary: Literal["nova-compute"] = "nova-compute"
    host: str
    zone: str
    status: Status
    state: State
    updated_at: Moment
    disabled_reason: str | None
    forced_down: Annotated[bool, since("2.11")]


class ServicesAnswer(Versioned):
    """All services."""

    services: list[Service]


class ServiceAnswer(Versioned):
    """One service."""

    service: Service


class Changed(Versioned):
    """What was changed, up to 2.52: the switch that was asked for, and nothing else."""

    host: str
    binary: str
    status: Annotated[Status | None, OmitNone()] = None
    disabled_reason: Annotated[str | None, OmitNone()] = None
    forced_down: Annotated[bool | None, OmitNone()] = None


class ChangedAnswer(Versioned):
    """One service, up to 2.52."""

    service: Changed


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


def _is_given(value: object) -> object:
    if value is None:
        raise ValueError("None is not of type 'string'")
    return value


#: what may be left out, but not be null
GivenFlag = Annotated[Boolean | None, BeforeValidator(_is_given), WithJsonSchema({"type": ["boolean", "string"], "enum": BOOLEAN_WORDS})]
GivenReason = Annotated[Reason | None, BeforeValidator(_is_given), WithJsonSchema({"type": "string", "minLength": 1, "maxLength": 255})]
GivenStatus = Annotated[Status | None, BeforeValidator(_is_given), WithJsonSchema({"enum": ["enabled", "disabled"]})]


class ServiceChange(_Strict):
    """2.1: which service; what to do with it is in the path."""

    host: HostName
    binary: Binary
    disabled_reason: GivenReason = None


class ServiceChange211(ServiceChange):
    """2.11: force-down."""

    forced_down: GivenFlag = None


#: something has to be asked for, and a reason goes with what is not enabled
_SWITCHES: JsonDict = {
    "anyOf": [
        {"properties": {"status": {"const": "enabled"}, "disabled_reason": False}, "required": ["status"]},
        {"properties": {"status": {"const": "disabled"}}, "required": ["status"]},
        {"properties": {"status": False}, "required": ["forced_down"]},
    ]
}


class ServiceChange253(_Strict):
    """2.53: what to do; which service is in the path."""

    model_config = ConfigDict(json_schema_extra=_SWITCHES)

    status: GivenStatus = None
    disabled_reason: GivenReason = None
    forced_down: GivenFlag = None


SERVICE_CHANGE: dict[str, type[BaseModel]] = {"2.1": ServiceChange, "2.11": ServiceChange211, "2.53": ServiceChange253}
