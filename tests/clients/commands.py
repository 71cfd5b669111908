"""What people do with OpenStack's clients, command by command: the tests run it, docs/openstack-clients.md shows it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from tests.clients.environments import DEBIAN, Environment
from tests.contract.api_world import IDLE, MOVING, REQUEST

_MOVE = "55555555-aaaa-4aaa-8aaa-aaaaaaaaaaaa"


@dataclass(frozen=True)
class Command:
    """One command over the fixed world (tests/contract/api_world.py).

    Attributes:
        does: what it is for.
        line: what comes after `openstack`.
        shows: every one of these is in what it prints.
        code: its exit code.
        asked: by the name of an environment, the `--os-compute-api-version` that this client has to be given.
    """

    does: str
    line: str
    shows: tuple[str, ...]
    code: int = 0
    asked: Mapping[str, str] = field(default_factory=dict)

    def for_client(self, environment: Environment) -> str:
        """What is typed with this client."""
        version = self.asked.get(environment.name)
        return self.line if version is None else f"--os-compute-api-version {version} {self.line}"


def _debian(version: str) -> dict[str, str]:
    return {DEBIAN.name: version}


#: those that change something come last
COMMANDS = [
    Command("list guests", "server list --long", ("web1", "db1", "old", "MIGRATING", "SHUTOFF")),
    Command("guests of a host", "server list --host node6", ("old",)),
    Command("guests by name or status", "server list --name ^web --status MIGRATING", ("web1",)),
    Command("show a guest", "server show web1", (MOVING, "node5", "migrating", "75")),
    Command("list migrations", "server migration list", (IDLE, MOVING, "failed", "running")),
    Command("migrations of a guest", "server migration list --server web1", (MOVING, "running")),
    Command("migrations by host and status", "server migration list --host node6 --status failed", (IDLE, "failed"), asked=_debian("2.23")),
    Command("show one that runs, by id", "server migration show web1 2", ("running", "805306368"), asked=_debian("2.24")),
    Command("show one that runs, by UUID", f"server migration show web1 {_MOVE}", ("running", "805306368"), asked=_debian("2.59")),
    Command("what was done to a guest", "server event list web1", (REQUEST, "live-migration")),
    Command("why it went as it did", f"server event show web1 {REQUEST}", ("compute_check_can_live_migrate_destination", "Success")),
    Command("list hosts", "hypervisor list --long", ("node5", "node6", "up")),
    Command("show a host", "hypervisor show node5", ("node5", "up", "enabled", "QEMU")),
    Command("what all hosts have", "hypervisor stats show", ("memory_mb", "vcpus_used", "running_vms")),
    Command("list services", "compute service list --long", ("node5", "node6", "enabled", "disabled", "new memory")),
    Command("volumes of a guest", "server volume list db1", ("/dev/vdc", "88888888-8888-4888-8888-888888888888")),
    Command("hosts under their oldest name", "host list", ("node5", "compute")),
    Command("flavors: there are none, a guest is as it is", "flavor list --all", ()),
    Command("availability zones", "availability zone list --compute", ("nova", "available")),
    Command("aggregates: there are none", "aggregate list", ()),
    Command(
        "a host that there is not", "server migrate --live-migration --host node9 db1", ("node9 could not be found",), 1, _debian("2.30")
    ),
    Command("a guest that is off", "server migrate --live-migration old", ("while it is in vm_state stopped",), 1),
    Command("a guest on its way", "server migrate --live-migration web1", ("while it is in task_state migrating",), 1),
    Command("disable a host", "compute service set --disable --disable-reason repair node5 nova-compute", ()),
    Command("…and see why", "compute service list --long --host node5", ("disabled", "repair")),
    Command("enable it", "compute service set --enable node5 nova-compute", ()),
    Command("take a host for down", "compute service set --down node5 nova-compute", (), asked=_debian("2.11")),
    Command("…and see it", "compute service list --host node5", ("down",)),
    Command("believe it again", "compute service set --up node5 nova-compute", (), asked=_debian("2.11")),
    Command("make one that runs come to its end", "server migration force complete web1 2", (), asked=_debian("2.22")),
    Command("end a migration", "server migration abort web1 2", (), asked=_debian("2.24")),
]
