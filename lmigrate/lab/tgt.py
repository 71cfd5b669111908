"""tgtd of a lab: the storage that volumes lie on, at the address of the centre."""

from __future__ import annotations

import json

from lmigrate.lab.paths import LabPaths
from lmigrate.lab.state import LabState

BACKEND = "san1"


def command(state: LabState) -> list[str]:
    """How tgtd is started."""
    return ["tgtd", "-f", "--iscsi", f"portal={state.addresses['ctl']}:3260"]


def backends(paths: LabPaths, state: LabState) -> str:
    """The setting storage.backends of every daemon of the lab, as JSON."""
    options = {"driver": "iscsi-tgt", "portal": f"{state.addresses['ctl']}:3260", "directory": str(paths.volumes)}
    return json.dumps({BACKEND: options})
