"""Which requests docs/api_samples shows.  ``python -m tests.contract.api_samples`` writes them from the running code."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from flask.testing import FlaskClient

from tests.contract import api_daemons, api_world
from tests.contract.api_world import IDLE, MOVING, NODE5, REQUEST, STOPPED, TOKEN, VOLUME

DIRECTORY = Path(__file__).parents[2] / "docs" / "api_samples"
_LOGIN = {"auth": {"identity": {"methods": ["password"], "password": {"user": {"name": "ann", "password": "lmt_…"}}}}}
_MIGRATE = f"/v2.1/servers/{IDLE}/action"
#: node5 as a compute service: its UUID, and its name up to 2.52
SERVICE = f"{NODE5[:-1]}0"
NEW_VOLUME = {"name": "web1-root", "backend": "san1", "source_name": "iqn.2026-11.org.example:web1/1"}
MOMENTS = ("started_at", "finished_at", "updated_at")
COMPUTE = {"host": "node5", "binary": "nova-compute"}


@dataclass(frozen=True)
class Sample:
    """One request; ``name`` is its file below docs/api_samples, without suffix."""

    name: str
    method: str
    path: str
    version: str | None = None
    body: Any = None
    drawn: tuple[str, ...] = ()  # fields of the answer that are another each time
    within: Callable[[], AbstractContextManager[None]] = nullcontext  # what the world is like meanwhile

    @property
    def file(self) -> Path:
        """Where it is kept."""
        return DIRECTORY / f"{self.name}.json"


def _nova(resource: str, path: str, versions: list[str], method: str = "GET") -> list[Sample]:
    return [Sample(f"nova/{resource}/v{version}", method, f"/v2.1{path}", version) for version in versions]


def _migrate(name: str, version: str, body: object, server: str = IDLE) -> Sample:
    path = f"/v2.1/servers/{server}/action"
    return Sample(f"nova/os-migrate-live/{name}-v{version}", "POST", path, version, {"os-migrateLive": body})


def _accepted(version: str, minute: int, body: object) -> Sample:
    path = f"/v2.1/servers/{api_daemons.uuid_of(minute)}/action"
    within = partial(api_daemons.checked_at_once, minute)
    return Sample(f"nova/os-migrate-live/accepted-v{version}", "POST", path, version, {"os-migrateLive": body}, within=within)


def _service(name: str, word: str, version: str, body: object) -> Sample:
    return Sample(f"nova/os-services-update/{name}-v{version}", "PUT", f"/v2.1/os-services/{word}", version, body)


def _complete(name: str, version: str, migration_id: int) -> Sample:
    path = f"/v2.1/servers/{MOVING}/migrations/{migration_id}/action"
    return Sample(f"nova/server-migrations-force-complete/{name}", "POST", path, version, {"force_complete": None})


#: those that change something come last
SAMPLES = [
    Sample("nova/versions/list", "GET", "/"),
    Sample("nova/versions/show", "GET", "/v2.1"),
    Sample("nova/versions/unsupported", "GET", "/v2.1/servers", "2.999"),
    *_nova("servers-list", "/servers?limit=1", ["2.1"]),
    *_nova("servers-detail", "/servers/detail?status=MIGRATING", ["2.1", "2.96"]),
    *_nova("servers-show", f"/servers/{IDLE}", ["2.1", "2.3", "2.47", "2.96"]),
    *_nova("servers-show-missing", f"/servers/{NODE5}", ["2.96"]),
    *_nova("server-migrations-list", f"/servers/{MOVING}/migrations", ["2.23", "2.59", "2.80"]),
    *_nova("server-migrations-show", f"/servers/{MOVING}/migrations/2", ["2.23", "2.80"]),
    *_nova("os-migrations-list", "/os-migrations", ["2.1", "2.23", "2.59", "2.80"]),
    *_nova("os-migrations-page", "/os-migrations?limit=1", ["2.59"]),
    *_nova("os-hypervisors-list", "/os-hypervisors", ["2.1", "2.53"]),
    *_nova("os-hypervisors-detail", "/os-hypervisors/detail", ["2.1", "2.28", "2.53", "2.88"]),
    *_nova("os-hypervisors-with-servers", "/os-hypervisors?with_servers=true", ["2.75"]),
    *_nova("os-hypervisors-show", f"/os-hypervisors/{NODE5}", ["2.88"]),
    *_nova("os-services-list", "/os-services", ["2.1", "2.11", "2.53"]),
    *_nova("os-instance-actions-list", f"/servers/{MOVING}/os-instance-actions", ["2.1", "2.58"]),
    *_nova("os-instance-actions-show", f"/servers/{MOVING}/os-instance-actions/{REQUEST}", ["2.1", "2.62", "2.84"]),
    *_nova("os-volume-attachments-list", f"/servers/{IDLE}/os-volume_attachments", ["2.1", "2.70", "2.79", "2.89"]),
    *_nova("os-volume-attachments-show", f"/servers/{IDLE}/os-volume_attachments/{VOLUME}", ["2.89"]),
    *_nova("os-hypervisors-statistics", "/os-hypervisors/statistics", ["2.87"]),
    *_nova("os-hypervisors-uptime", "/os-hypervisors/1/uptime", ["2.1"]),
    *_nova("os-hypervisors-uptime", f"/os-hypervisors/{NODE5}/uptime", ["2.53"]),
    *_nova("os-hypervisors-search", "/os-hypervisors/node5/search", ["2.1"]),
    *_nova("os-hypervisors-servers", "/os-hypervisors/node/servers", ["2.1"]),
    *_nova("os-hosts-list", "/os-hosts", ["2.1"]),
    *_nova("os-hosts-show", "/os-hosts/node5", ["2.1"]),
    *_nova("os-availability-zone-list", "/os-availability-zone", ["2.1"]),
    *_nova("os-availability-zone-detail", "/os-availability-zone/detail", ["2.1"]),
    *_nova("os-aggregates-list", "/os-aggregates", ["2.1"]),
    *_nova("os-server-groups-list", "/os-server-groups", ["2.1"]),
    *_nova("os-keypairs-list", "/os-keypairs", ["2.1"]),
    *_nova("extensions-list", "/extensions", ["2.1"]),
    *_nova("images-list", "/images", ["2.35"]),
    *_nova("images-detail", "/images/detail", ["2.35"]),
    *_nova("limits-show", "/limits", ["2.1", "2.36", "2.39", "2.57"]),
    *_nova("flavors-list", "/flavors", ["2.1"]),
    *_nova("flavors-detail", "/flavors/detail", ["2.1"]),
    *_nova("flavors-show", "/flavors/2vcpu-2048mib", ["2.1", "2.55", "2.61", "2.75"]),
    *_nova("flavors-extra-specs", "/flavors/2vcpu-2048mib/os-extra_specs", ["2.1"]),
    _service("unknown-binary", "disable", "2.1", {"host": "node5", "binary": "nova-scheduler"}),
    _service("nothing-to-change", SERVICE, "2.53", {}),
    _service("disable", "disable", "2.1", COMPUTE),
    _service("disable-log-reason", "disable-log-reason", "2.1", COMPUTE | {"disabled_reason": "new disks"}),
    _service("enable", "enable", "2.1", COMPUTE),
    _service("force-down", "force-down", "2.11", COMPUTE | {"forced_down": True}),
    _service("disable", SERVICE, "2.53", {"status": "disabled", "disabled_reason": "new disks"}),
    _service("enable-and-up", SERVICE, "2.53", {"status": "enabled", "forced_down": False}),
    Sample("nova/os-services-delete/hosting-v2.53", "DELETE", f"/v2.1/os-services/{SERVICE}", "2.53"),
    Sample("nova/os-hosts-update/v2.1", "PUT", "/v2.1/os-hosts/node5", "2.1", {"status": "disable"}),
    Sample("nova/os-hosts-power/v2.1", "GET", "/v2.1/os-hosts/node5/reboot", "2.1"),
    Sample("nova/server-actions/migrate-v2.56", "POST", _MIGRATE, "2.56", {"migrate": None}),
    Sample("nova/server-actions/no-such-action-v2.96", "POST", _MIGRATE, "2.96", {"pause": None}),
    _migrate("wrong-body", "2.25", {"host": None, "block_migration": "auto", "disk_over_commit": False}),
    _migrate("unknown-host", "2.1", {"host": "node9", "block_migration": False, "disk_over_commit": False}),
    _migrate("force-without-host", "2.30", {"host": None, "block_migration": "auto", "force": True}),
    _migrate("stopped", "2.96", {"host": "node6", "block_migration": "auto"}, STOPPED),
    _migrate("migrating", "2.96", {"host": "node6", "block_migration": "auto"}, MOVING),
    Sample("identity/versions", "GET", "/identity"),
    Sample("identity/version", "GET", "/identity/v3"),
    Sample("identity/log-in", "POST", "/identity/v3/auth/tokens", None, _LOGIN, ("audit_ids", "issued_at", "expires_at")),
    Sample("identity/projects", "GET", "/identity/v3/projects?name=admin"),
    Sample("image/versions", "GET", "/image"),
    Sample("image/images", "GET", "/image/v2/images"),
    Sample("v1/caller-show", "GET", "/v1/caller"),
    Sample("v1/tokens-list", "GET", "/v1/tokens"),
    Sample("v1/tokens-show", "GET", f"/v1/tokens/{TOKEN}"),
    Sample("v1/audit-list", "GET", "/v1/audit?user=ann"),
    Sample("v1/doctor", "GET", "/v1/doctor"),
    Sample("v1/doctor-sweep", "POST", "/v1/doctor/sweep"),
    Sample("v1/hosts-list", "GET", "/v1/hosts"),
    Sample("v1/hosts-show", "GET", "/v1/hosts/node5"),
    Sample("v1/servers-list", "GET", "/v1/servers?limit=2"),
    Sample("v1/servers-show", "GET", f"/v1/servers/{MOVING}"),
    Sample("v1/servers-show-with-volumes", "GET", f"/v1/servers/{IDLE}"),
    Sample("v1/servers-plan", "GET", f"/v1/servers/{IDLE}/plan"),
    Sample("v1/servers-plan-obstacles", "GET", f"/v1/servers/{STOPPED}/plan?host=node5"),
    Sample("v1/servers-forget-refused", "DELETE", f"/v1/servers/{IDLE}"),
    Sample("v1/volumes-list", "GET", "/v1/volumes"),
    Sample("v1/volumes-show", "GET", f"/v1/volumes/{VOLUME}"),
    Sample("v1/volumes-attachments", "GET", f"/v1/volumes/{VOLUME}/attachments"),
    Sample("v1/volumes-register-unknown-backend", "POST", "/v1/volumes", None, {"name": "x", "backend": "san9", "source_name": "x"}),
    Sample("v1/migrations-list", "GET", "/v1/migrations?status=failed"),
    Sample("v1/migrations-show", "GET", "/v1/migrations/2"),
    Sample("v1/migrations-resolve-not-held", "POST", "/v1/migrations/1/resolution", None, {"running_on": "node5"}),
    Sample("v1/wrong-query", "GET", "/v1/migrations?limit=0"),
    Sample("v1/tokens-create", "POST", "/v1/tokens", None, {"name": "ansible", "role": "operator"}, ("uuid", "created_at", "secret")),
    Sample("v1/tokens-revoke", "DELETE", f"/v1/tokens/{TOKEN}", None, None, ("revoked_at",)),
    Sample("v1/hosts-disable", "PATCH", "/v1/hosts/node5", None, {"enabled": False, "reason": "new disks"}),
    Sample("v1/hosts-enable", "PATCH", "/v1/hosts/node5", None, {"enabled": True}),
    _migrate("named-host", "2.68", {"host": "node6", "block_migration": "auto"}),
    _complete("v2.22", "2.22", 2),
    _complete("not-found-v2.96", "2.96", 9),
    *_nova("server-migrations-abort", f"/servers/{MOVING}/migrations/2", ["2.80"], "DELETE"),
    *_nova("server-migrations-abort-refused", f"/servers/{IDLE}/migrations/1", ["2.24"], "DELETE"),
    Sample(
        "v1/migrations-resolve", "POST", "/v1/migrations/4/resolution", None, {"running_on": "node5"}, MOMENTS, partial(api_daemons.held, 6)
    ),
    Sample("v1/servers-forget", "DELETE", f"/v1/servers/{api_daemons.uuid_of(7)}", within=partial(api_daemons.vanished, 7)),
    Sample("v1/volumes-register", "POST", "/v1/volumes", None, NEW_VOLUME, ("uuid", "created_at"), api_daemons.registered_at_once),
    _accepted("2.1", 8, {"host": "node6", "block_migration": False, "disk_over_commit": False}),
    _accepted("2.25", 9, {"host": None, "block_migration": "auto"}),
    _accepted("2.30", 10, {"host": "node6", "block_migration": "auto", "force": True}),
]


def replay(client: FlaskClient, sample: Sample) -> dict[str, Any]:
    """Send the request; what the file has to say."""
    headers = {} if sample.version is None else {"OpenStack-API-Version": f"compute {sample.version}"}
    given = {} if sample.body is None else {"json": sample.body}
    with sample.within():
        answer = client.open(sample.path, method=sample.method, headers=headers, **given)
    request = {"method": sample.method, "path": sample.path, "headers": headers, "body": sample.body}
    body = json.loads(_stable(answer.get_data(as_text=True), answer.headers["x-openstack-request-id"])) if answer.data else None
    body = _without(body, set(sample.drawn))
    return {"request": request, "response": {"status": answer.status_code, "body": body}}


def _stable(text: str, request_id: str) -> str:
    return text.replace(request_id, REQUEST)


def _without(value: Any, drawn: set[str]) -> Any:
    """``value`` with dots for what is another each time."""
    if isinstance(value, list):
        return [_without(one, drawn) for one in value]
    if isinstance(value, dict):
        return {name: "…" if name in drawn else _without(one, drawn) for name, one in value.items()}
    return value


def write() -> None:
    """Make the world in a database of its own, and write every sample."""
    from api.app import create_app
    from lmigrate.db.base import Base
    from lmigrate.db.session import engine

    Base.metadata.create_all(engine())
    api_world.populate()
    client = create_app().test_client()
    for sample in SAMPLES:
        sample.file.parent.mkdir(parents=True, exist_ok=True)
        sample.file.write_text(json.dumps(replay(client, sample), indent=2) + "\n")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as scratch:
        os.environ |= api_world.SETTINGS | {
            "LMIGRATE_DATABASE__URL": f"sqlite:///{scratch}/samples.sqlite",
            "LMIGRATE_BROKER__URL": "memory://",
        }
        write()
