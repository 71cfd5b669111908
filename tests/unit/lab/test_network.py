from __future__ import annotations

import ipaddress

import pytest

from lmigrate.lab import network
from lmigrate.lab.options import MAX_HOSTS
from lmigrate.lab.state import free_port


@pytest.mark.parametrize("lab_id", ["lab", "a", "b", "t-12ab", "x" * 20])
def test_addresses_come_from_the_id_and_never_collide(lab_id: str) -> None:
    addresses = [network.ctl_address(lab_id), *(network.host_address(lab_id, index) for index in range(MAX_HOSTS))]
    assert len(set(addresses)) == MAX_HOSTS + 1
    assert len({ipaddress.ip_interface(f"{address}/24").network for address in addresses}) == 1
    assert addresses[0] == network.ctl_address(lab_id)


def test_port_names_fit_a_network_device() -> None:
    assert len(network.port_name(MAX_HOSTS)) <= 15


def test_ports_are_distinct() -> None:
    first = free_port("lab")
    assert free_port("lab", above=first) > first
