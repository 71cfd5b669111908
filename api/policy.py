"""Who may do what: one table of all operations.  What is not in it is not served.

An operation is called as Flask calls its endpoint: ``nova.servers_show``, ``v1.list_hosts``; an action of
Nova's ``POST /servers/{id}/action`` is called after its key, and is asked for beside the route itself.
``told`` names the fields of the body that the audit keeps: what is not named is not kept, so no secret
gets in by accident.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from flask import g

from api import caller
from api.refusals import Forbidden
from lmigrate.errors import LmigrateError
from lmigrate.states import Role


class NoPolicy(LmigrateError):
    """No role is given for {operations}: add them to the table in api/policy.py."""


@dataclass(frozen=True)
class Rule:
    """What one operation needs; no role: open to everybody, also to those who say nothing."""

    role: Role | None
    told: tuple[str, ...] = ()


OPEN, READER, OPERATOR, ADMIN = Rule(None), Rule(Role.READER), Rule(Role.OPERATOR), Rule(Role.ADMIN)

POLICY: dict[str, Rule] = {
    # what clients ask before they say who they are, and what a load balancer asks
    "health.healthz": OPEN,
    "health.readyz": OPEN,
    "versions.index": OPEN,
    "versions.show": OPEN,
    "identity.index": OPEN,
    "identity.show": OPEN,
    "identity.create_session": OPEN,
    "images.image_versions": OPEN,
    # what OpenStack's clients ask around it
    "identity.list_projects": READER,
    "images.list_images": READER,
    # Nova's wire
    **dict.fromkeys(
        (f"nova.absent_{what}" for what in ("aggregates", "extensions", "images", "images_detail", "keypairs", "server_groups")), READER
    ),
    "nova.availability_zones_detail": READER,
    "nova.availability_zones_index": READER,
    "nova.flavors_detail": READER,
    "nova.flavors_extra_specs": READER,
    "nova.flavors_index": READER,
    "nova.flavors_show": READER,
    "nova.hypervisors_detail": READER,
    "nova.hypervisors_index": READER,
    "nova.hypervisors_search": READER,
    "nova.hypervisors_servers": READER,
    "nova.hypervisors_show": READER,
    "nova.hypervisors_statistics": READER,
    "nova.hypervisors_uptime": READER,
    "nova.instance_actions_index": READER,
    "nova.instance_actions_show": READER,
    "nova.limits_index": READER,
    "nova.os_hosts_index": READER,
    "nova.os_hosts_show": READER,
    "nova.os_hosts_update": Rule(Role.OPERATOR, told=("status", "maintenance_mode")),
    "nova.power": OPERATOR,
    "nova.os_migrations_index": READER,
    "nova.server_migrations_abort": OPERATOR,
    "nova.server_migrations_force_complete": OPERATOR,
    "nova.server_migrations_index": READER,
    "nova.server_migrations_show": READER,
    "nova.servers_detail": READER,
    "nova.servers_index": READER,
    "nova.servers_show": READER,
    "nova.services_delete": ADMIN,
    "nova.services_index": READER,
    "nova.services_update": Rule(Role.OPERATOR, told=("host", "binary", "status", "disabled_reason", "forced_down")),
    "nova.volume_attachments_index": READER,
    "nova.volume_attachments_show": READER,
    "nova.act": OPERATOR,
    "nova.migrate": OPERATOR,
    "nova.os-migrateLive": Rule(Role.OPERATOR, told=("host", "block_migration", "disk_over_commit", "force")),
    # lmigrate's own
    "v1.change_host": Rule(Role.OPERATOR, told=("enabled", "reason")),
    "v1.create_token": Rule(Role.ADMIN, told=("name", "role", "lifetime_s")),
    "v1.forget_server": ADMIN,
    "v1.list_attachments": READER,
    "v1.list_audit": ADMIN,
    "v1.list_hosts": READER,
    "v1.list_migrations": READER,
    "v1.list_servers": READER,
    "v1.list_tokens": ADMIN,
    "v1.list_volumes": READER,
    "v1.register_volume": Rule(Role.ADMIN, told=("name", "backend", "source_name")),
    "v1.resolve_migration": Rule(Role.ADMIN, told=("running_on", "fenced")),
    "v1.revoke_token": ADMIN,
    "v1.sweep_now": OPERATOR,
    "v1.show_caller": READER,
    "v1.show_doctor": READER,
    "v1.show_host": READER,
    "v1.show_migration": READER,
    "v1.show_docs": READER,
    "v1.show_openapi": READER,
    "v1.show_openapi_nova": READER,
    "v1.show_plan": READER,
    "v1.show_server": READER,
    "v1.show_token": ADMIN,
    "v1.show_volume": READER,
}


def require_complete(endpoints: Collection[str]) -> None:
    """Refuse to serve what the table does not name.

    Raises:
        NoPolicy: for every operation that is missing.
    """
    missing = sorted(set(endpoints) - set(POLICY))
    if missing:
        raise NoPolicy(operations=", ".join(missing))


def is_open(operation: str | None) -> bool:
    """Whether ``operation`` may be asked for by anybody."""
    return operation is not None and POLICY[operation].role is None


def require(operation: str) -> None:
    """Let the present caller do ``operation``.

    Raises:
        Forbidden: their role does not do.
    """
    g.operation = operation
    needed, who = POLICY[operation].role, caller.current()
    if needed is not None and not who.role.may(needed):
        raise Forbidden(role=who.role.value)


def operation() -> str | None:
    """What the present request wants, as far as that is known."""
    found: str | None = g.get("operation")
    return found
