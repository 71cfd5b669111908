"""GET /flavors: nobody chooses one here, so the list is empty; what servers name as theirs (``2vcpu-1024mib``) can be shown."""

from __future__ import annotations

import re

from api.errors import NotFound
from api.nova.blueprint import route
from api.nova.build_server import links
from api.nova.schemas import queries
from api.nova.schemas.flavor import ExtraSpecsAnswer, FlavorAnswer, FlavorsAnswer, FlavorShown

_NAME = re.compile(r"([1-9]\d{0,5})vcpu-([1-9]\d{0,9})mib", re.ASCII)


class FlavorNotFound(NotFound):
    """Flavor {flavor} could not be found."""


@route("GET", "/flavors", query=queries.FLAVORS, answer=FlavorsAnswer)
def index(query: queries.FlavorsQuery) -> FlavorsAnswer:
    """List flavors: none."""
    del query
    return FlavorsAnswer()


@route("GET", "/flavors/detail", query=queries.FLAVORS, answer=FlavorsAnswer)
def detail(query: queries.FlavorsQuery) -> FlavorsAnswer:
    """List flavors: none."""
    del query
    return FlavorsAnswer()


@route("GET", "/flavors/<flavor_id>", answer=FlavorAnswer)
def show(flavor_id: str) -> FlavorAnswer:
    """Show the flavor that a server names as its own."""
    vcpus, ram = _require(flavor_id)
    return FlavorAnswer(flavor=FlavorShown(id=flavor_id, name=flavor_id, vcpus=vcpus, ram=ram, links=links(f"flavors/{flavor_id}")))


@route("GET", "/flavors/<flavor_id>/os-extra_specs", answer=ExtraSpecsAnswer)
def extra_specs(flavor_id: str) -> ExtraSpecsAnswer:
    """Show what else a flavor asks for: nothing."""
    _require(flavor_id)
    return ExtraSpecsAnswer()


def size_of(flavor_id: str) -> tuple[int, int]:
    """vCPUs and MiB of memory of servers that name ``flavor_id`` as theirs; (0, 0), which no server has, when none can."""
    found = _NAME.fullmatch(flavor_id)
    return (0, 0) if found is None else (int(found[1]), int(found[2]))


def _require(flavor_id: str) -> tuple[int, int]:
    if _NAME.fullmatch(flavor_id) is None:
        raise FlavorNotFound(flavor=flavor_id)
    return size_of(flavor_id)
