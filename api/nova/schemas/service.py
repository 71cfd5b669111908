"""Compute services: the other view of a host."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from api.nova.leniency import Boolean, HostName, Reason
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


class ServiceChange(_Strict):
    """2.1: which service; what to do with it is in the path."""

    host: HostName
    binary: Binary
    disabled_reason: Reason | None = None


class ServiceChange211(ServiceChange):
    """2.11: force-down."""

    forced_down: Boolean | None = None


class ServiceChange253(_Strict):
    """2.53: what to do; which service is in the path."""

    status: Status | None = None
    disabled_reason: Reason | None = None
    forced_down: Boolean | None = None


SERVICE_CHANGE: dict[str, type[BaseModel]] = {"2.1": ServiceChange, "2.11": ServiceChange211, "2.53": ServiceChange253}
