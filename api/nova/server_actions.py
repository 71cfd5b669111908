"""POST /servers/{id}/action: the body's one key names what to do."""

from __future__ import annotations

from flask import Response

from api import policy
from api.body import MalformedBody, json_object
from api.nova import live_migrate
from api.nova.blueprint import nova
from lmigrate.db.session import reading
from lmigrate.db.stores import servers_view
from lmigrate.errors import RequestError


class NoSuchAction(RequestError):
    """There is no such action: {action}"""


class NoColdMigration(RequestError):
    """Cold migration is not offered. Ask for a live one: os-migrateLive, `openstack server migrate --live-migration`."""


def cold_migrate(server_id: str) -> Response:
    """Refuse what `openstack server migrate` asks for without --live-migration."""
    with reading() as session:
        servers_view.require(session, server_id)
    raise NoColdMigration


ACTIONS = {"os-migrateLive": live_migrate.live_migrate, "migrate": cold_migrate}


@nova.post("/servers/<server_id>/action", strict_slashes=False)
def act(server_id: str) -> Response:
    """Do what the one key of the body names."""
    keys = list(json_object())
    if len(keys) != 1:
        raise MalformedBody(reason="exactly one key, the action, is needed")
    if keys[0] not in ACTIONS:
        raise NoSuchAction(action=keys[0])
    policy.require(f"nova.{keys[0]}")
    response: Response = ACTIONS[keys[0]](server_id=server_id)
    return response
