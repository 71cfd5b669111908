from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

import pytest
from flask.testing import FlaskClient

from lmigrate.db.models import Instance
from lmigrate.states import PowerState, TaskState, VmState
from tests.factories.records import GIB, disk_row, host_row, instance_row
from tests.unit.api.conftest import Call

Save = Callable[..., None]
START = datetime(2026, 1, 1, tzinfo=UTC)


def guests(count: int) -> list[Instance]:
    """Guests made one minute after the other; the newest is the last."""
    return [instance_row("node5", name=f"web{number}", created_at=START + timedelta(minutes=number)) for number in range(count)]


def names(answer: dict[str, list[dict[str, str]]] | None) -> list[str]:
    assert answer is not None
    return [row["name"] for row in answer["servers"]]


def test_list_is_short_and_newest_first(nova: Call, save: Save) -> None:
    rows = guests(3)
    save(*rows)
    answer = nova("GET", "/servers").json
    assert names(answer) == ["web2", "web1", "web0"]
    assert answer is not None
    assert answer["servers"][0] == {
        "id": rows[2].uuid,
        "name": "web2",
        "links": [
            {"rel": "self", "href": f"http://localhost/v2.1/servers/{rows[2].uuid}"},
            {"rel": "bookmark", "href": f"http://localhost/servers/{rows[2].uuid}"},
        ],
    }


@pytest.mark.parametrize("path", ["/servers", "/servers/detail"])
def test_pages_follow_their_links_to_the_end(nova: Call, save: Save, client: FlaskClient, path: str) -> None:
    save(*guests(5))
    seen: list[str] = []
    answer = nova("GET", f"{path}?limit=2&host=node5").json
    while answer:
        seen += names(answer)
        link = answer.get("servers_links")
        if link is None:
            break
        assert link[0]["rel"] == "next"
        assert "host=node5" in link[0]["href"]
        parts = urlsplit(link[0]["href"])
        answer = client.get(f"{parts.path}?{parts.query}").json
    assert seen == ["web4", "web3", "web2", "web1", "web0"]


def test_guests_of_one_moment_are_neither_lost_nor_doubled(nova: Call, save: Save) -> None:
    save(*[instance_row("node5", name=f"twin{number}", created_at=START) for number in range(4)])
    first = nova("GET", "/servers?limit=3").json
    assert first is not None
    second = nova("GET", f"/servers?limit=3&marker={first['servers'][-1]['id']}").json
    assert sorted(names(first) + names(second)) == ["twin0", "twin1", "twin2", "twin3"]


FILTERS: list[tuple[str, list[str]]] = [
    ("name=web1", ["web1", "web10"]),
    ("name=^web1$", ["web1"]),
    ("name=^web", ["web1", "web10"]),
    ("name=1$", ["db1", "web1"]),
    ("name=%25", []),  # a per cent sign is no wildcard
    ("host=node6", ["web10"]),
    ("host=nowhere", []),
    ("status=ACTIVE", ["db1", "web10"]),
    ("status=active", ["db1", "web10"]),
    ("status=MIGRATING", ["web1"]),
    ("status=PAUSED", []),
    ("status=SHUTOFF", []),
    ("deleted=False&all_tenants=True", ["db1", "web1", "web10"]),
    ("deleted=true", []),
    ("status=PAUSED&status=ACTIVE", ["db1", "web10"]),
    ("status=ACTIVE&status=MIGRATING", ["db1", "web1", "web10"]),
    ("status=SHUTOFF&status=nonsense", []),
    ("status=PAUSED&vm_state=active", []),
    ("host=node5&host=node6", ["web10"]),  # the last one counts
    ("display_name=^db", ["db1"]),
    ("progress=0", ["db1", "web1", "web10"]),
    ("progress=75", []),
    ("description=two", ["web10"]),
    ("created_at=2026-01-01T00:00:00Z", ["web1"]),
    ("created_at=2026-01-01", ["web1"]),
    ("launched_at=lately", []),
    ("launched_at=9999-12-31T23:59:59", []),  # a second that does not end
    ("created_at=9999-12-31T23:59:59", []),
    ("created_at=0001-01-01T00:00:00%2B05:00", []),
    ("availability_zone=nova", ["db1", "web1", "web10"]),
    ("availability_zone=north", []),
    ("launch_index=0", ["db1", "web1", "web10"]),
    ("config_drive=True", []),
    ("key_name=k", []),
    ("name=web[0-9]%2B$", ["web1", "web10"]),
    ("name=^(db|web)1$", ["db1", "web1"]),
    ("hostname=db", ["db1"]),
    ("instance_name=db1", ["db1"]),
    ("node=node6", ["web10"]),
    ("node=^node[67]$", ["web10"]),
    ("node=node", ["db1", "web1", "web10"]),
    ("name=web&display_name=1$", ["web1"]),  # each of several counts
    ("name=web&hostname=0", ["web10"]),
    ("name=web&instance_name=db1", []),
    ("host=node5&node=node6", []),
    ("host=node5&node=^node", ["db1", "web1"]),
    ("description=two&display_description=hosts", ["web10"]),
    ("description=two&display_description=three", []),
    ("description=tw.", []),  # as it stands
    ("vm_state=active", ["db1", "web1", "web10"]),
    ("vm_state=active&status=PAUSED", []),
    ("vm_state=nonsense", []),
    ("task_state=migrating", ["web1"]),
    ("task_state=migrating&status=ACTIVE", []),
    ("task_state=deleting", []),
    ("power_state=1", ["db1", "web1", "web10"]),
    ("power_state=4", []),
    ("flavor=1vcpu-1024mib", ["db1", "web1", "web10"]),
    ("flavor=m1.tiny", []),
    ("project_id=admin", ["db1", "web1", "web10"]),
    ("project_id=other", []),
    ("user_id=other", []),
    ("locked=true", []),
    ("locked=false", ["db1", "web1", "web10"]),
    ("ip=10.0.0.5", []),  # no server has an address here; all of them would be a dangerous answer
    ("tags=x", []),
    ("not-tags=x", ["db1", "web1", "web10"]),
    ("sort_key=created_at&sort_dir=desc", ["db1", "web1", "web10"]),
    ("limit=0", []),
    ("changes-since=2026-06-01T00:00:00Z", ["db1"]),
    ("changes-before=2026-06-01T00:00:00", ["web1", "web10"]),
]


def test_filters(nova: Call, save: Save, subtests: pytest.Subtests) -> None:
    long_ago, lately = START, datetime(2026, 7, 1, tzinfo=UTC)
    save(
        instance_row("node5", name="web1", updated_at=long_ago, task_state=TaskState.MIGRATING, created_at=START),
        instance_row("node6", name="web10", updated_at=long_ago, anomaly="running on two hosts"),
        instance_row("node5", name="db1", updated_at=lately),
    )
    for query, expected in FILTERS:
        with subtests.test(query=query, expected=expected):
            assert sorted(names(nova("GET", f"/servers?{query}", "2.96").json)) == expected


ORDERS: list[tuple[str, list[str]]] = [
    ("", ["c", "b", "a", "d"]),
    ("sort_dir=asc", ["d", "a", "b", "c"]),
    ("sort_key=display_name", ["d", "c", "b", "a"]),
    ("sort_key=display_name&sort_dir=asc", ["a", "b", "c", "d"]),
    ("sort_key=host&sort_dir=asc", ["d", "a", "c", "b"]),  # nowhere comes first
    ("sort_key=host&sort_key=display_name&sort_dir=desc&sort_dir=asc", ["b", "a", "c", "d"]),
    ("sort_key=vm_state&sort_dir=asc", ["a", "b", "c", "d"]),
    ("sort_key=power_state&sort_key=uuid&sort_dir=desc&sort_dir=asc", ["d", "a", "b", "c"]),
    ("sort_key=task_state", ["b", "c", "a", "d"]),
    ("sort_key=key_name&sort_dir=asc", ["d", "a", "b", "c"]),  # which all have alike
    ("sort_key=locked&sort_key=progress&sort_dir=asc&sort_dir=desc", ["c", "d", "a", "b"]),
]


def test_orders_page_by_page(nova: Call, save: Save, subtests: pytest.Subtests) -> None:
    ids = [f"{number}0000000-0000-4000-8000-000000000000" for number in range(4)]
    shut_off = {"vm_state": VmState.STOPPED, "power_state": PowerState.SHUTOFF}
    save(
        instance_row("node5", uuid=ids[1], name="a", created_at=START + timedelta(minutes=1)),
        instance_row("node6", uuid=ids[2], name="b", created_at=START + timedelta(minutes=2), task_state=TaskState.MIGRATING),
        instance_row("node5", uuid=ids[3], name="c", created_at=START + timedelta(minutes=3), progress=9),
        instance_row(None, uuid=ids[0], name="d", created_at=START, **shut_off),
    )
    for query, expected in ORDERS:
        with subtests.test(query=query):
            assert names(nova("GET", f"/servers?{query}", "2.96").json) == expected
            assert all_pages(nova, f"/servers?limit=1&{query}") == expected


def all_pages(nova: Call, path: str) -> list[str]:
    """The names on every page, each page after the last one's end."""
    found: list[str] = []
    marker = ""
    while page := nova("GET", f"{path}{marker}", "2.96").get_json()["servers"]:
        found += [row["name"] for row in page]
        marker = f"&marker={page[-1]['id']}"
    return found


REFUSED_QUERIES: list[tuple[str, str]] = [
    ("limit=-1", "limit"),
    ("limit=x", "limit"),
    ("name=(a%2B)%2B", "name"),
    ("sort_key=nonsense", "sort_key"),
    ("sort_dir=up", "Unknown sort direction"),
    ("sort_dir=asc&sort_dir=asc", "Sort direction size exceeds sort key size"),
    ("name=(", "name"),
    ("node=(a%2B)%2B", "node"),
    ("hostname=(a%2B)%2B", "hostname"),
    ("availability_zone=(a%2B)%2B", "availability_zone"),
    ("key_name=a{99999999999999999999}", "is not a 'regex'"),
    ("hostname=", "is not a 'regex'"),
    ("_id=1", "Invalid filter field: _id."),
    ("metadata=x", "Invalid filter field: metadata."),
    ("root_device_name=vda", "root_device_name"),
    ("marker=nope", "nope"),
    ("changes-since=yesterday", "date-time"),
    ("changes-since=0001-01-01T00:00:00%2B05:00", "date-time"),  # in UTC outside of what there is
    ("changes-before=9999-12-31T23:59:59-05:00", "date-time"),
    ("changes-since=2026-06-01T00:00:00Z&changes-before=2026-05-01T00:00:00Z", "changes-since must be less"),
]


def test_refused_queries(nova: Call, subtests: pytest.Subtests) -> None:
    for query, word in REFUSED_QUERIES:
        with subtests.test(query=query, word=word):
            answer = nova("GET", f"/servers?{query}", "2.66")
            assert answer.status_code == 400
            assert answer.json is not None
            assert word in answer.json["badRequest"]["message"]


STATES: list[tuple[dict[str, Any], str, str, int]] = [
    ({}, "ACTIVE", "active", 1),
    ({"task_state": TaskState.MIGRATING}, "MIGRATING", "active", 1),
    ({"vm_state": VmState.PAUSED, "power_state": PowerState.PAUSED}, "PAUSED", "paused", 3),
    ({"vm_state": VmState.STOPPED, "power_state": PowerState.SHUTOFF}, "SHUTOFF", "stopped", 4),
    ({"vm_state": VmState.STOPPED, "power_state": PowerState.SHUTOFF, "task_state": TaskState.MIGRATING}, "SHUTOFF", "stopped", 4),
    ({"vm_state": VmState.SUSPENDED, "power_state": PowerState.PMSUSPENDED}, "SUSPENDED", "suspended", 7),
    ({"vm_state": VmState.ERROR, "power_state": PowerState.CRASHED}, "ERROR", "error", 6),
    ({"vm_state": VmState.UNKNOWN, "power_state": PowerState.NOSTATE}, "UNKNOWN", "unknown", 0),
]


def test_states(nova: Call, save: Save, subtests: pytest.Subtests) -> None:
    for fields, status, vm_state, power in STATES:
        row = instance_row("node5", **fields)
        save(row)
        with subtests.test(status=status):
            answer = nova("GET", f"/servers/{row.uuid}").json
            assert answer is not None
            server = answer["server"]
            assert (server["status"], server["OS-EXT-STS:vm_state"], server["OS-EXT-STS:power_state"]) == (status, vm_state, power)
            assert ("progress" in server) == (status in {"ACTIVE", "MIGRATING"})


def test_show_by_any_case_of_the_uuid_but_not_by_name(nova: Call, save: Save) -> None:
    row = instance_row("node5", name="web1")
    save(row)
    assert nova("GET", f"/servers/{row.uuid.upper()}").status_code == 200
    assert nova("GET", "/servers/web1").status_code == 404


def test_show_at_the_newest_version(nova: Call, save: Save) -> None:
    row = instance_row("node5", name="web1", memory_mib=2048, vcpus=2)
    save(host_row("node5", enabled=False), row)
    save(
        disk_row(row, "vda"),
        disk_row(row, "vdb", capacity_bytes=GIB + 1),
        disk_row(row, "vdc", destination_type="volume", source_type="network", serial="vol-1"),
        disk_row(row, "sda", device_type="cdrom"),
    )
    answer = nova("GET", f"/servers/{row.uuid}", "latest").json
    assert answer is not None
    server = answer["server"]
    assert server["flavor"] == {
        "original_name": "2vcpu-2048mib", "vcpus": 2, "ram": 2048, "disk": 12, "ephemeral": 0, "swap": 0, "extra_specs": {},
    }  # fmt: skip
    assert server["os-extended-volumes:volumes_attached"] == [{"id": "vol-1", "delete_on_termination": False}]
    assert server["host_status"] == "MAINTENANCE"
    assert server["OS-EXT-SRV-ATTR:host"] == server["OS-EXT-SRV-ATTR:hypervisor_hostname"] == "node5"
    assert server["OS-EXT-SRV-ATTR:root_device_name"] == "/dev/vda"
    assert server["server_groups"] == []


def test_groups_are_shown_but_not_listed(nova: Call, save: Save) -> None:
    save(*guests(1))
    answer = nova("GET", "/servers/detail", "2.96").json
    assert answer is not None
    assert "server_groups" not in answer["servers"][0]
    assert "pinned_availability_zone" in answer["servers"][0]


def test_a_status_that_nova_does_not_know_is_refused_from_2_38(nova: Call) -> None:
    for version, status in [("2.37", 200), ("2.38", 400)]:
        assert nova("GET", "/servers?status=nonsense", version).status_code == status
    assert nova("GET", "/servers?status=VERIFY_RESIZE", "2.96").status_code == 200


def test_a_parameter_that_is_not_known_is_refused_from_2_75(nova: Call) -> None:
    for version, status in [("2.74", 200), ("2.75", 400)]:
        assert nova("GET", "/servers?foo=1", version).status_code == status
