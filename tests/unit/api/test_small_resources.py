"""What clients fetch on their way: zones, hosts, flavors, limits, statistics, and all that there is nothing of."""

from collections.abc import Callable
from typing import Any

import pytest

from lmigrate.db.models import Host
from tests.factories.records import host_row, instance_row
from tests.unit.api.conftest import Call

Save = Callable[..., None]


@pytest.fixture
def hosts(save: Save) -> list[Host]:
    rows = [host_row("node5", reserved_memory_mib=512), host_row("node6", enabled=False)]
    save(*rows, instance_row("node5", name="web1", vcpus=2), instance_row("node5", name="db1"))
    return rows


def answer_of(nova: Call, path: str, version: str = "2.1") -> Any:
    answer = nova("GET", path, version)
    assert answer.status_code == 200, answer.text
    return answer.json


@pytest.mark.parametrize(
    ("path", "version", "last"),
    [
        ("os-aggregates", "2.96", "aggregates"),
        ("images", "2.35", "images"),
        ("images/detail", "2.1", "images"),
        ("os-keypairs", "2.96", "keypairs"),
        ("extensions", "2.96", "extensions"),
        ("os-server-groups", "2.96", "server_groups"),
        ("flavors", "2.96", "flavors"),
        ("flavors/detail?is_public=None", "2.61", "flavors"),
    ],
)
def test_there_is_nothing_of_these(nova: Call, path: str, version: str, last: str) -> None:
    assert answer_of(nova, f"/{path}", version) == {last: []}


def test_zones(nova: Call, hosts: list[Host]) -> None:
    (zone,) = answer_of(nova, "/os-availability-zone")["availabilityZoneInfo"]
    assert zone == {"zoneName": "nova", "zoneState": {"available": True}, "hosts": None}
    (zone,) = answer_of(nova, "/os-availability-zone/detail")["availabilityZoneInfo"]
    assert set(zone["hosts"]) == {"node5"}
    assert zone["hosts"]["node5"]["nova-compute"]["available"] is True


def test_a_zone_without_a_host_that_is_up(nova: Call, save: Save) -> None:
    save(host_row("node5", forced_down=True))
    (zone,) = answer_of(nova, "/os-availability-zone/detail")["availabilityZoneInfo"]
    assert zone == {"zoneName": "nova", "zoneState": {"available": False}, "hosts": None}


def test_hosts_up_to_2_42(nova: Call, hosts: list[Host]) -> None:
    assert answer_of(nova, "/os-hosts", "2.42") == {"hosts": [{"host_name": "node5", "service": "compute", "zone": "nova"}]}
    assert answer_of(nova, "/os-hosts?zone=nova")["hosts"]
    assert answer_of(nova, "/os-hosts?zone=internal") == {"hosts": []}
    assert nova("GET", "/os-hosts", "2.43").status_code == 404
    assert nova("GET", "/os-hosts/node9").status_code == 404
    lines = {one["resource"]["project"]: one["resource"] for one in answer_of(nova, "/os-hosts/node5")["host"]}
    assert lines["(total)"] == {"host": "node5", "project": "(total)", "cpu": 8, "memory_mb": 4096, "disk_gb": 100}
    assert (lines["(used_now)"]["cpu"], lines["(used_now)"]["memory_mb"], lines["(used_now)"]["disk_gb"]) == (3, 2560, 50)
    assert lines["(used_max)"]["memory_mb"] == lines["admin"]["memory_mb"] == 2048


def test_the_flavor_that_a_server_names(nova: Call, hosts: list[Host]) -> None:
    server = answer_of(nova, "/servers/detail?name=web1")["servers"][0]
    flavor = answer_of(nova, f"/flavors/{server['flavor']['id']}", "2.75")["flavor"]
    assert (flavor["name"], flavor["vcpus"], flavor["ram"], flavor["swap"]) == ("2vcpu-1024mib", 2, 1024, 0)
    assert answer_of(nova, "/flavors/2vcpu-1024mib/os-extra_specs") == {"extra_specs": {}}


@pytest.mark.parametrize("name", ["m1.tiny", "0vcpu-1mib", "2vcpu-1024mib ", "9999999vcpu-1mib"])
def test_other_flavors_are_unknown(nova: Call, name: str) -> None:
    assert nova("GET", f"/flavors/{name}").status_code == 404
    assert nova("GET", f"/flavors/{name}/os-extra_specs").status_code == 404


def test_limits(nova: Call, hosts: list[Host]) -> None:
    absolute = answer_of(nova, "/limits", "2.57")["limits"]["absolute"]
    assert (absolute["totalInstancesUsed"], absolute["totalCoresUsed"], absolute["totalRAMUsed"]) == (2, 3, 2048)
    assert absolute["maxTotalInstances"] == -1
    assert nova("GET", "/limits?foo=1", "2.74").status_code == 200
    assert nova("GET", "/limits?foo=1", "2.75").status_code == 400


def test_all_hypervisors_added_up(nova: Call, hosts: list[Host]) -> None:
    found = answer_of(nova, "/os-hypervisors/statistics", "2.87")["hypervisor_statistics"]
    assert (found["count"], found["vcpus"], found["vcpus_used"], found["running_vms"]) == (2, 16, 3, 2)
    assert (found["memory_mb"], found["memory_mb_used"], found["free_ram_mb"]) == (8192, 2560, 5632)
    assert nova("GET", "/os-hypervisors/statistics", "2.88").status_code == 404


def test_uptime(nova: Call, hosts: list[Host]) -> None:
    assert answer_of(nova, "/os-hypervisors/1/uptime")["hypervisor"]["uptime"] == hosts[0].uptime
    assert answer_of(nova, f"/os-hypervisors/{hosts[0].uuid}", "2.88")["hypervisor"]["uptime"] == hosts[0].uptime
    assert nova("GET", f"/os-hypervisors/{hosts[0].uuid}/uptime", "2.88").status_code == 404
    assert nova("GET", "/os-hypervisors/9/uptime").status_code == 404


def test_hypervisors_by_part_of_the_name_up_to_2_52(nova: Call, hosts: list[Host]) -> None:
    found = answer_of(nova, "/os-hypervisors/ode5/search", "2.52")["hypervisors"]
    assert [(one["id"], one["hypervisor_hostname"]) for one in found] == [(1, "node5")]
    listed = answer_of(nova, "/os-hypervisors/node/servers")["hypervisors"]
    assert [[server["name"] for server in one.get("servers", [])] for one in listed] == [["db1", "web1"], []]
    assert "servers" not in listed[1]
    for word in ("search", "servers"):
        assert nova("GET", f"/os-hypervisors/nope/{word}").status_code == 404
        assert nova("GET", f"/os-hypervisors/node/{word}", "2.53").status_code == 404
