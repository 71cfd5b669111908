"""GET /os-availability-zone: the one zone, and the hosts in it."""

from __future__ import annotations

from api.liveness import down_reason
from api.nova.blueprint import route
from api.nova.build_server import ZONE
from api.nova.schemas.zone import ServiceState, Zone, ZonesAnswer, ZoneState
from api.nova.services import BINARY
from api.nova.times import microseconds
from lmigrate.db.models import Host
from lmigrate.db.session import reading
from lmigrate.db.stores import hosts_view


@route("GET", "/os-availability-zone", answer=ZonesAnswer)
def index() -> ZonesAnswer:
    """List availability zones."""
    return ZonesAnswer(zones=[_zone(_enabled())])


@route("GET", "/os-availability-zone/detail", answer=ZonesAnswer)
def detail() -> ZonesAnswer:
    """List availability zones with the enabled hosts of each."""
    found = _enabled()
    zone = _zone(found)
    told = {host.name: {BINARY: _service(host)} for host in found} if zone.state.available else None
    return ZonesAnswer(zones=[zone.model_copy(update={"hosts": told})])


def _zone(enabled: list[Host]) -> Zone:
    """A zone can be used when one host in it can."""
    is_available = any(down_reason(host) is None for host in enabled)
    return Zone(name=ZONE, state=ZoneState(available=is_available), hosts=None)


def _service(host: Host) -> ServiceState:
    return ServiceState(active=host.enabled, available=down_reason(host) is None, updated_at=microseconds(host.last_seen_at))


def _enabled() -> list[Host]:
    with reading() as session:
        return [host for host in hosts_view.all_brief(session) if host.enabled]
