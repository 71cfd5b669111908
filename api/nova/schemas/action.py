"""Instance actions: where clients read why a migration failed."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from api.nova.times import Moment
from api.nova.versioned import OmitNone, Versioned, since
from api.pagination import Link


class ActionEvent(Versioned):
    """One part of an action.  ``traceback`` carries the sentence of ``details`` for clients that do not know it; there is never a stack."""

    event: str
    start_time: Moment
    finish_time: Moment | None
    result: str | None
    traceback: str | None
    host: Annotated[str | None, since("2.62"), OmitNone()] = None
    host_id: Annotated[str, since("2.62"), Field(serialization_alias="hostId")] = ""
    details: Annotated[str | None, since("2.84")]


class Action(Versioned):
    """What a request did to an instance."""

    action: str
    instance_uuid: str
    request_id: str
    user_id: str | None
    project_id: str | None
    start_time: Moment
    message: str | None
    updated_at: Annotated[Moment, since("2.58")]


class ActionWithEvents(Action):
    """An action and its parts, newest first."""

    events: list[ActionEvent]


class ActionsAnswer(Versioned):
    """The actions of a server, newest first."""

    actions: list[Action] = Field(serialization_alias="instanceActions")
    links: Annotated[list[Link] | None, since("2.58"), OmitNone()] = None


class ActionAnswer(Versioned):
    """One action."""

    action: ActionWithEvents = Field(serialization_alias="instanceAction")
