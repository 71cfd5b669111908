"""GET /limits: nobody has a quota here; what is used is counted."""

from __future__ import annotations

from api.nova.blueprint import route
from api.nova.schemas import queries
from api.nova.schemas.limits import Absolute, Limits, LimitsAnswer
from lmigrate.db.session import reading
from lmigrate.db.stores import servers_view


@route("GET", "/limits", query=queries.LIMITS, answer=LimitsAnswer)
def index(query: queries.LimitsQuery) -> LimitsAnswer:
    """Show what may be used and what is."""
    del query  # there is one project
    with reading() as session:
        used = servers_view.totals(session)
    absolute = Absolute(totalInstancesUsed=used.instances, totalCoresUsed=used.vcpus, totalRAMUsed=used.memory_mib)
    return LimitsAnswer(limits=Limits(absolute=absolute))
