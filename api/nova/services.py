"""/os-services: the host daemons as Nova's compute services, and their switches.

Up to 2.52 the path says what to do and the body with which service; from 2.53 it is
the other way round.
"""

from __future__ import annotations

from typing import Any

from api.errors import Conflict, NotFound, NotSupported
from api.microversions import at_least
from api.nova import build_hypervisor
from api.nova.blueprint import route
from api.nova.host_lookup import InvalidUuid
from api.nova.schemas import queries
from api.nova.schemas.service import SERVICE_CHANGE, Changed, ChangedAnswer, ServiceAnswer, ServicesAnswer
from lmigrate.db.models import Host
from lmigrate.db.session import Session, reading, writing
from lmigrate.db.stores import hosts, hosts_view, migrations_view, servers_view
from lmigrate.db.stores.migrations_view import MigrationFilter
from lmigrate.errors import RequestError
from lmigrate.ids import is_uuid
from lmigrate.states import IN_PROGRESS

BINARY = "nova-compute"


class ServiceNotFound(NotFound):
    """Service {service} could not be found."""


class HostBinaryNotFound(NotFound):
    """Could not find binary {binary} on host {host}."""


class WrongBinary(RequestError):
    """Updating a {binary} service is not supported. Only nova-compute services can be updated."""


class MissingField(RequestError):
    """Missing {field} field"""


class ReasonWithEnabled(RequestError):
    """Specifying 'disabled_reason' with status 'enabled' is invalid."""


class NothingToChange(RequestError):
    """No updates were requested. Fields 'status' or 'forced_down' should be specified."""


class DeletedServiceNotFound(NotFound):
    """Service {service} not found."""


class NotANumber(RequestError):
    """Invalid input received: id must be an integer"""


class HostsInstances(Conflict):
    """Unable to delete compute service that is hosting instances. Migrate or delete the instances first."""


class HasMigrations(Conflict):
    """Unable to delete compute service that has in-progress migrations. Complete the migrations or delete the instances first."""


class UnknownAction(NotFound):
    """Unknown action"""


@route("GET", "/os-services", query=queries.SERVICES, answer=ServicesAnswer)
def index(query: queries.ServicesQuery) -> ServicesAnswer:
    """List the compute service of every host."""
    return ServicesAnswer(services=[build_hypervisor.service(host) for host in _wanted(query)])


@route("PUT", "/os-services/<service_id>", body=SERVICE_CHANGE, answer=ServiceAnswer)
def update(service_id: str, body: Any) -> ServiceAnswer | ChangedAnswer:
    """Enable or disable a host as a destination, or force it down (up to 2.52 the path says which of these)."""
    return _update_by_uuid(service_id, body) if at_least("2.53") else _update_by_name(service_id, body)


@route("DELETE", "/os-services/<service_id>", status=501)
def delete(service_id: str) -> None:
    """Refuse to forget a host: for Nova's reasons, and else since lmigrate keeps every host that ever registered."""
    with reading() as session:
        host = _by_id(session, service_id)
        if servers_view.names_by_host(session, [host.name]):
            raise HostsInstances
        if migrations_view.page(session, MigrationFilter(host=host.name, statuses=tuple(IN_PROGRESS)), 1):
            raise HasMigrations
    raise NotSupported(remedy="A host that ever registered stays on record: disable it, and stop its daemon.")


def _by_id(session: Session, service_id: str) -> Host:
    """By UUID from 2.53, by number before."""
    if at_least("2.53"):
        if not is_uuid(service_id):
            raise InvalidUuid(value=service_id)
        host = hosts_view.by_service_uuid(session, service_id)
    elif service_id.isascii() and service_id.isdigit() and len(service_id) < 10:
        host = session.get(Host, int(service_id))
    else:
        raise NotANumber
    if host is None:
        raise DeletedServiceNotFound(service=service_id)
    return host


def _wanted(query: queries.ServicesQuery) -> list[Host]:
    if query.binary not in {None, "", BINARY}:
        return []
    with reading() as session:
        if query.host:
            found = hosts.by_name(session, query.host)
            return [] if found is None else [found]
        return hosts_view.all_brief(session)


def _update_by_uuid(service_id: str, body: Any) -> ServiceAnswer:
    if not is_uuid(service_id):
        raise InvalidUuid(value=service_id)
    with writing() as session:
        host = hosts_view.by_service_uuid(session, service_id)
        if host is None:
            raise ServiceNotFound(service=service_id)
        _apply(session, host, body)
    return ServiceAnswer(service=build_hypervisor.service(host))


def _apply(session: Session, host: Host, body: Any) -> None:
    if body.status is None and body.forced_down is None:
        raise NothingToChange
    if body.status == "enabled" and body.disabled_reason is not None:
        raise ReasonWithEnabled
    if body.status is not None:
        hosts_view.switch(session, host, enabled=body.status == "enabled", reason=body.disabled_reason)
    if body.forced_down is not None:
        hosts_view.force_down(session, host, forced_down=body.forced_down)


def _update_by_name(action: str, body: Any) -> ChangedAnswer:
    changed = _change(action, body)
    if body.binary != BINARY:
        raise WrongBinary(binary=body.binary)
    with writing() as session:
        host = hosts.by_name(session, body.host)
        if host is None:
            raise HostBinaryNotFound(binary=body.binary, host=body.host)
        if changed.forced_down is not None:
            hosts_view.force_down(session, host, forced_down=changed.forced_down)
        else:
            hosts_view.switch(session, host, enabled=changed.status == "enabled", reason=changed.disabled_reason)
    return ChangedAnswer(service=changed)


def _change(action: str, body: Any) -> Changed:
    """What the last word of the path asks for."""
    name = {"host": body.host, "binary": body.binary}
    if action == "enable":
        return Changed(**name, status="enabled")
    if action == "disable":
        return Changed(**name, status="disabled")
    if action == "disable-log-reason":
        return Changed(**name, status="disabled", disabled_reason=_given("disabled_reason", body.disabled_reason))
    if action == "force-down" and at_least("2.11"):
        return Changed(**name, forced_down=_given("forced_down", body.forced_down))
    raise UnknownAction


def _given(field: str, value: Any) -> Any:
    if value is None:
        raise MissingField(field=field)
    return value
