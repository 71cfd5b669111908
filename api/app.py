"""The Flask application."""

from __future__ import annotations

import structlog
from flask import Flask

from api import body, caller, errors, microversions, request_ids
from api.audit import Audit
from api.caller import Mode
from api.guard import Guard
from api.health import health
from api.identity import identity, images
from api.keystone import Keystone
from api.limits import Limits
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
from api.proxies import TrustedProxies
from api.v1 import audit as v1_audit
from api.v1 import docs_page as v1_docs
from api.v1 import doctor as v1_doctor
from api.v1 import hosts as v1_hosts
from api.v1 import migrations as v1_migrations
from api.v1 import openapi as v1_openapi
from api.v1 import servers as v1_servers
from api.v1 import tokens as v1_tokens
from api.v1 import volumes as v1_volumes
from api.v1.blueprint import v1
from lmigrate.config import Settings, settings

log = structlog.get_logger(__name__)

#: importing these fills the two blueprints
ROUTES = (
    *(absent, availability_zones, flavors, hypervisors, instance_actions, limits, os_hosts, os_migrations),
    *(server_actions, server_migrations, servers, services, volume_attachments),
    *(v1_audit, v1_docs, v1_doctor, v1_hosts, v1_migrations, v1_openapi, v1_servers, v1_tokens, v1_volumes),
)


def create_app(bind: str | None = None) -> Flask:
    """The application, to be served at ``bind`` (the setting ``api.bind`` unless said).

    Raises:
        KeystoneUnusable: the settings ask for a Keystone that cannot be asked.
    """
    options = settings()
    where = bind or options.api.bind
    mode, limits = caller.mode_of(options.auth, options.api, where), Limits(options.api, options.tls)
    app = Flask("api", static_folder=None)
    app.json.sort_keys = False  # type: ignore[attr-defined]
    for blueprint in (health, versions, identity, images, nova, v1):
        app.register_blueprint(blueprint)
    errors.install(app)
    request_ids.install(app)
    Guard(mode, limits, answers_this_machine_only=caller.is_alone(options.api, where) and not where.startswith("unix:")).install(app)
    microversions.install(app)
    body.install(app, options.api.max_body_bytes)
    Audit(limits).install(app)
    _wrap(app, mode, options, limits)
    return app


def _wrap(app: Flask, mode: Mode, options: Settings, counters: Limits) -> None:
    """What stands around the application, the outermost last."""
    if mode == "keystone":
        app.wsgi_app = Keystone(app.wsgi_app, options.auth, counters)  # type: ignore[method-assign]
    if options.api.proxies:
        app.wsgi_app = TrustedProxies(app.wsgi_app, options.api.proxies)  # type: ignore[method-assign]
