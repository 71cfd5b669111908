"""What needs a human, in ``/v1``."""

from __future__ import annotations

from pydantic import Field

from api.contract import Shape
from api.v1.schemas.paging import Moment


class DoctorCommand(Shape):
    """One command, ready to be copied."""

    what: str = Field(description="What it is for.")
    command: str
    host: str | None = Field(description="On which host, as root; null: wherever lmigrate's command line is.")


class DoctorWay(Shape):
    """One way out."""

    when: str = Field(description="In which case it is the right one.")
    commands: list[DoctorCommand]


class DoctorKnown(Shape):
    """What one host is known to have of the guest."""

    host: str
    said: str
    at: Moment


class DoctorFinding(Shape):
    """One thing that is wrong."""

    kind: str = Field(description="held-migration, waiting-migration, guest, host, volume or leak.")
    reason: str
    needs_operator: bool
    summary: str
    page: str = Field(description="The runbook.")
    since: Moment | None
    host: str | None
    migration_id: int | None
    instance_uuid: str | None
    instance_name: str | None
    known: list[DoctorKnown] = Field(description="What is known on each side, and since when.")
    look: list[DoctorCommand] = Field(description="Commands that change nothing.")
    ways: list[DoctorWay] = Field(description="The ways out; one is to be chosen.")
    done: str | None = Field(description="What lmigrate has done about it.")


class Sweep(Shape):
    """Who looks for leaks now."""

    hosts: list[str] = Field(description="The hosts that are up; those that are not look when their daemon starts.")


class Diagnosis(Shape):
    """Everything that is wrong; what needs a human comes first."""

    needs_operator: int = Field(description="How many of the findings need a human.")
    findings: list[DoctorFinding]
