"""Body of an action on a migration in progress."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class ForceComplete(BaseModel):
    """``{"force_complete": null}``"""

    model_config = ConfigDict(extra="forbid", frozen=True)

    force_complete: None


FORCE_COMPLETE: dict[str, type[BaseModel]] = {"2.22": ForceComplete}
