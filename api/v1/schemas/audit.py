"""The audit in ``/v1``."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field

from api import policy
from api.contract import Shape
from api.v1.schemas.paging import NAME, Moment, Page, PageQuery, SentMoment
from lmigrate.states import Role


def _known(value: str) -> str:
    if value not in policy.POLICY:
        raise ValueError("there is no such operation: docs/reference/operations.md lists all")
    return value


Operation = Annotated[str, AfterValidator(_known), Field(json_schema_extra={"enum": sorted(policy.POLICY)}, description="This operation.")]
Outcome = Literal["done", "refused", "failed", "unknown"]


class AuditEvent(Shape):
    """One request that wanted to change something."""

    id: int
    at: Moment
    request_id: str
    user: str | None = Field(description="null: nobody knows who it was.")
    role: Role | None
    token_uuid: str | None
    address: str = Field(description="Where it came from; behind a trusted proxy, what that says.")
    method: str
    path: str
    operation: str | None = Field(description="As in the table of operations; null: there is none at that path.")
    details: dict[str, Any] = Field(description="Named fields of the request's body.")
    outcome: Outcome = Field(description="unknown: it runs, or the API died in it.")
    status: int | None = Field(description="HTTP status of the answer.")
    error_code: str | None


class AuditEvents(Page):
    """A page of the audit, newest first."""

    events: list[AuditEvent]


class AuditQuery(PageQuery):
    """Which events."""

    marker: Annotated[str, Field(pattern=r"^[0-9]{1,18}$", description="The `next_marker` of the page before.")] | None = None
    user: Annotated[str, Field(pattern=NAME, max_length=255, description="By this caller.")] | None = None
    operation: Operation | None = None
    request_id: Annotated[str, Field(pattern=NAME, max_length=64, description="Of this request.")] | None = None
    refused: bool | None = Field(None, description="true: those that came to nothing; false: the others.")
    since: SentMoment | None = Field(None, description="Not before this moment.")
