"""Limits: there are no quotas (-1), and nothing of what is not offered (0)."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from api.nova.versioned import Versioned, until

UNLIMITED = -1


class Absolute(Versioned):
    """What may be used, and what is."""

    maxTotalInstances: int = UNLIMITED  # noqa: N815
    maxTotalCores: int = UNLIMITED  # noqa: N815
    maxTotalRAMSize: int = UNLIMITED  # noqa: N815
    maxServerMeta: int = 0  # noqa: N815
    maxServerGroups: int = 0  # noqa: N815
    maxServerGroupMembers: int = 0  # noqa: N815
    maxTotalKeypairs: int = 0  # noqa: N815
    maxImageMeta: Annotated[int, until("2.38")] = 0  # noqa: N815
    maxPersonality: Annotated[int, until("2.56")] = 0  # noqa: N815
    maxPersonalitySize: Annotated[int, until("2.56")] = 0  # noqa: N815
    maxSecurityGroups: Annotated[int, until("2.35")] = 0  # noqa: N815
    maxSecurityGroupRules: Annotated[int, until("2.35")] = 0  # noqa: N815
    maxTotalFloatingIps: Annotated[int, until("2.35")] = 0  # noqa: N815
    totalInstancesUsed: int  # noqa: N815
    totalCoresUsed: int  # noqa: N815
    totalRAMUsed: int  # noqa: N815
    totalServerGroupsUsed: int = 0  # noqa: N815
    totalFloatingIpsUsed: Annotated[int, until("2.35")] = 0  # noqa: N815
    totalSecurityGroupsUsed: Annotated[int, until("2.35")] = 0  # noqa: N815


class Limits(Versioned):
    """Absolute limits; rates are not Nova's business any more."""

    absolute: Absolute
    rate: list[str] = Field([], max_length=0)


class LimitsAnswer(Versioned):
    """All limits."""

    limits: Limits
