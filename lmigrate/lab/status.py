"""What a lab looks like right now: nodes, daemons, guests."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from lmigrate.lab.errors import LabError
from lmigrate.lab.host import Host
from lmigrate.lab.node import Node
from lmigrate.lab.topology import Lab


@dataclass(frozen=True)
class NodeStatus:
    """One node.

    ``daemons`` says how each is (``running``, ``exit 1``, ``killed by SIGKILL``); ``link`` is ``up``, ``cut`` or
    None where there is no cable; ``guests`` is state by name, None where there is no libvirtd or it is silent.
    """

    name: str
    up: bool
    address: str | None
    link: str | None
    daemons: Mapping[str, str]
    guests: Mapping[str, str] | None


@dataclass(frozen=True)
class LabStatus:
    """The whole lab; passwords are not in it."""

    id: str
    directory: str
    accel: str
    accel_reason: str
    instances: str
    database: str
    tls: bool
    url: str
    flower_url: str
    nodes: tuple[NodeStatus, ...]

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        return asdict(self)


def of_lab(lab: Lab) -> LabStatus:
    """Look at every part of a lab."""
    return LabStatus(
        id=lab.options.lab_id,
        directory=str(lab.paths.top),
        accel=lab.accel.name,
        accel_reason=lab.accel.reason,
        instances=lab.options.instances,
        database=lab.options.database,
        tls=lab.options.tls,
        url=lab.url,
        flower_url=lab.flower_url,
        nodes=tuple(_of_node(lab, node) for node in lab.nodes.values()),
    )


def _of_node(lab: Lab, node: Node) -> NodeStatus:
    is_up = node.is_up
    return NodeStatus(
        name=node.name,
        up=is_up,
        address=lab.state.addresses.get(node.name),
        link=_link(lab, node) if is_up else None,
        daemons={name: daemon.ending for name, daemon in node.daemons().items()},
        guests=_guests(node) if is_up else None,
    )


def _link(lab: Lab, node: Node) -> str | None:
    if not isinstance(node, Host):
        return None
    try:
        return "up" if lab.network.is_link_up(node.index) else "cut"
    except LabError:  # the other end of the cable is down with its node
        return "cut"


def _guests(node: Node) -> dict[str, str] | None:
    if not isinstance(node, Host):
        return None
    try:
        return node.domains()
    except LabError:
        return None
