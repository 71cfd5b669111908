"""The Flask application."""

from __future__ import annotations

from flask import Flask

from api import body, caller, errors, microversions, request_ids
from api.health import health
from api.nova import (
    absent,
    availability_zones,
    flavors,
    hypervisors,
    instance_actions,
    limits,
    os_hosts,
    os_migrations,
    server_actions,
    server_migrations,
    servers,
    services,
    volume_attachments,
)
from api.nova.blueprint import nova
from api.nova.versions import versions
from api.v1 import hosts as v1_hosts
from api.v1 import migrations as v1_migrations
from api.v1 import openapi as v1_openapi
from api.v1 import servers as v1_servers
from api.v1 import volumes as v1_volumes
from api.v1.blueprint import v1
from lmigrate.config import settings

#: importing these fills the two blueprints
ROUTES = (
    *(absent, availability_zones, flavors, hypervisors, instance_actions, limits, os_hosts, os_migrations),
    *(server_actions, server_migrations, servers, services, volume_attachments),
    *(v1_hosts, v1_migrations, v1_openapi, v1_servers, v1_volumes),
)


def create_app(bind: str | None = None) -> Flask:
    """The application, to be served at ``bind`` (the setting ``api.bind`` unless said).

    Raises:
        UnsafeBind: others than this machine's users could reach it.
    """
    options = settings().api
    caller.require_loopback(bind or options.bind)
    app = Flask("api", static_folder=None)
    app.json.sort_keys = False  # type: ignore[attr-defined]
    errors.install(app)
    request_ids.install(app)
    microversions.install(app)
    body.install(app, options.max_body_bytes)
    for blueprint in (health, versions, nova, v1):
        app.register_blueprint(blueprint)
    return app
