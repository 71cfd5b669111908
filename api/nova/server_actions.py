"""POST /servers/{id}/action: the body's one key names what to do."""

from __future__ import annotations

from flask import Response

from api.body import MalformedBody, json_object
from api.nova import live_migrate
from api.nova.blueprint import nova
from lmigrate.errors import RequestError

ACTIONS = {"os-migrateLive": live_migrate.live_migrate}


class NoSuchAction(RequestError):
    """There is no such action: {action}"""


@nova.post("/servers/<server_id>/action", strict_slashes=False)
def act(server_id: str) -> Response:
    """Do what the one key of the body names."""
    keys = list(json_object())
    if len(keys) != 1:
        raise MalformedBody(reason="exactly one key, the action, is needed")
    if keys[0] not in ACTIONS:
        raise NoSuchAction(action=keys[0])
    response: Response = ACTIONS[keys[0]](server_id=server_id)
    return response
