"""How fast the API answers for a large fleet: `make bench-api`.

A private PostgreSQL is filled with 1,000 hosts, 20,000 instances and 200,000 migrations; the
API runs as in production (gunicorn, one process), and is asked over HTTP.  Measured are lists
and shows for pages of 100, the API's memory while one client reads everything, the
plans of all queries, and 200 migrate requests at once.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import socket
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from api.app import create_app
from lmigrate.config import settings
from tests.databases import PostgresqlDatabases
from tests.factories.fleet import Fleet, fill, instance_uuid
from tests.query_plans import WHOLE, plan_of, queries_of, requests
from tests.servers import postgresql_server, redis_server

HEADERS = {"OpenStack-API-Version": "compute 2.96"}
AT_ONCE = 200
DEADLINE_S = 60.0


def measured(fleet: Fleet) -> dict[str, str]:
    """What is asked for, by what it is called in the report."""
    server, middle = f"/v2.1/servers/{instance_uuid(77)}", fleet.migrations // 2
    latest = f"req-30000000-0000-4000-8000-{fleet.migrations:012x}"
    return {
        "servers, list": "/v2.1/servers?limit=100",
        "servers, detail": "/v2.1/servers/detail?limit=100",
        "servers, detail, in the middle": f"/v2.1/servers/detail?limit=100&marker={instance_uuid(fleet.instances // 2)}",
        "servers, by name": "/v2.1/servers/detail?name=guest-777",
        "servers, of a host": "/v2.1/servers/detail?limit=100&host=node0005",
        "server, show": server,
        "server, actions": f"{server}/os-instance-actions?limit=100",
        "server, action with events": f"/v2.1/servers/{instance_uuid(1)}/os-instance-actions/{latest}",
        "migrations, list": "/v2.1/os-migrations?limit=100",
        "migrations, in the middle": f"/v2.1/os-migrations?limit=100&marker={middle}",
        "migrations, of a host": "/v2.1/os-migrations?limit=100&host=node0005",
        "migrations, running": "/v2.1/os-migrations?limit=100&status=running",
        "migration, show (/v1)": f"/v1/migrations/{middle}",
        "hypervisors, list": "/v2.1/os-hypervisors?limit=100",
        "hypervisors, detail": "/v2.1/os-hypervisors/detail?limit=100",
        "hypervisor, show": "/v2.1/os-hypervisors/40000000-0000-4000-8000-000000000005",
    }


@dataclass
class Api:
    """The API in a process of its own."""

    url: str
    process: subprocess.Popen[bytes]

    def memory_mib(self) -> float:
        """Resident memory of the worker."""
        (worker,) = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        line = next(line for line in Path(f"/proc/{worker}/status").read_text().splitlines() if line.startswith("VmRSS:"))
        return int(line.split()[1]) / 1024


@contextlib.contextmanager
def running_api(environment: dict[str, str]) -> Iterator[Api]:
    """gunicorn on a free port of loopback."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        bind = f"127.0.0.1:{probe.getsockname()[1]}"
    process = subprocess.Popen([sys.executable, "-m", "api.serve"], env=environment | {"LMIGRATE_API__BIND": bind})
    try:
        _wait_until_ready(f"http://{bind}")
        yield Api(f"http://{bind}", process)
    finally:
        process.terminate()
        process.wait(DEADLINE_S)


def _wait_until_ready(url: str) -> None:
    until = time.monotonic() + DEADLINE_S
    while True:
        with contextlib.suppress(httpx.TransportError):
            if httpx.get(f"{url}/readyz").status_code == httpx.codes.OK:
                return
        if time.monotonic() > until:
            raise TimeoutError("the API does not get ready")
        time.sleep(0.1)


def latencies(client: httpx.Client, fleet: Fleet, rounds: int) -> dict[str, dict[str, float]]:
    """Milliseconds for each request, one after the other; the kinds take turns, so that none has a quiet moment to itself."""
    kinds = measured(fleet)
    took: dict[str, list[float]] = {name: [] for name in kinds}
    for number in range(-2, rounds):  # two rounds warm every cache
        for name, path in kinds.items():
            began = time.perf_counter()
            client.get(path).raise_for_status()
            if number >= 0:
                took[name].append((time.perf_counter() - began) * 1000)
    return {name: {"median": round(statistics.median(one), 1), "p95": round(_p95(one), 1)} for name, one in took.items()}


def _p95(values: list[float]) -> float:
    return statistics.quantiles(values, n=20)[-1]


def read_everything(client: httpx.Client, api: Api) -> dict[str, Any]:
    """Follow the links through all servers and all migrations; the memory before, at most, and after."""
    found: dict[str, Any] = {"before_mib": round(api.memory_mib(), 1)}
    most = 0.0
    for key, path in {"servers": "/v2.1/servers/detail?limit=100", "migrations": "/v2.1/os-migrations?limit=100"}.items():
        rows, next_page = 0, path
        while next_page:
            answer = client.get(next_page).raise_for_status().json()
            rows += len(answer[key])
            most = max(most, api.memory_mib())
            next_page = next((link["href"] for link in answer.get(f"{key}_links", [])), "")
        found[key] = rows
        found[f"after_{key}_mib"] = round(api.memory_mib(), 1)
    return found | {"most_mib": round(most, 1)}


def migrate_at_once(url: str, fleet: Fleet) -> dict[str, Any]:
    """``AT_ONCE`` requests for as many idle servers, all sent at the same moment."""
    servers = [instance_uuid(number) for number in range(1, fleet.instances) if number % 10 and number > fleet.running][:AT_ONCE]
    start = threading.Barrier(AT_ONCE)

    def ask(server: str) -> tuple[float, float, int, str]:
        with httpx.Client(base_url=url, headers=HEADERS, timeout=DEADLINE_S) as client:
            start.wait()
            began = time.monotonic()
            answer = client.post(f"/v2.1/servers/{server}/action", json={"os-migrateLive": {"host": None, "block_migration": "auto"}})
            return began, time.monotonic(), answer.status_code, answer.headers["x-openstack-request-id"]

    with ThreadPoolExecutor(AT_ONCE) as pool:
        answers = list(pool.map(ask, servers))
    return _judged(answers, url)


def _judged(answers: list[tuple[float, float, int, str]], url: str) -> dict[str, Any]:
    """Whether each has its migration, and whether one that was answered before another was sent comes before it."""
    rows = httpx.get(f"{url}/v2.1/os-migrations?limit=1000&status=accepted", headers=HEADERS).json()["migrations"]
    recorded = httpx.get(f"{url}/v1/migrations?limit=1000&status=accepted").json()["migrations"]
    ids = {row["request_id"]: row["id"] for row in recorded}
    known = [(began, ended, ids[request_id]) for began, ended, _status, request_id in answers if request_id in ids]
    turned = sum(first[1] < second[0] and first[2] > second[2] for first in known for second in known)
    return {
        "sent": len(answers),
        "accepted": sum(status == httpx.codes.ACCEPTED for _, _, status, _ in answers),
        "recorded": len(rows),
        "lost": len(answers) - len(known),
        "out_of_order": turned,
        "all_answered_after_s": round(max(one[1] for one in answers) - min(one[0] for one in answers), 2),
    }


def scans(fleet: Fleet) -> list[str]:
    """Requests for which PostgreSQL, left to itself, would read a table that grows as a whole."""
    client = create_app().test_client()
    return [path for path in requests(fleet) if any(WHOLE.search(plan_of(*query)) for query in queries_of(client, path))]


def run(fleet: Fleet, rounds: int) -> dict[str, Any]:
    """Everything, in one database."""
    with postgresql_server() as directory, redis_server() as broker:
        os.environ |= {"LMIGRATE_DATABASE__URL": PostgresqlDatabases(directory).upgraded(), "LMIGRATE_BROKER__URL": broker}
        settings.cache_clear()
        began = time.monotonic()
        fill(fleet)
        print(f"filled in {time.monotonic() - began:.0f} s", file=sys.stderr)
        with running_api(dict(os.environ)) as api, httpx.Client(base_url=api.url, headers=HEADERS, timeout=DEADLINE_S) as client:
            return {
                "fleet": vars(fleet),
                "rounds": rounds,
                "load_average_1min": round(os.getloadavg()[0], 1),
                "latency_ms": latencies(client, fleet, rounds),
                "memory": read_everything(client, api),
                "scans": scans(fleet),
                "migrate_at_once": migrate_at_once(api.url, fleet),
            }


def main() -> None:
    """Run, and print JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=100, help="how often each request is made (at least 20)")
    parser.add_argument("--tenth", action="store_true", help="a tenth of the fleet, to try it out")
    asked = parser.parse_args()
    fleet = Fleet(100, 2_000, 20_000, 50, 20_000) if asked.tenth else Fleet()
    print(json.dumps(run(fleet, asked.rounds), indent=1))


if __name__ == "__main__":
    main()
