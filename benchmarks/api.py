"""How fast the API answers for a large fleet: `make bench-api`.

A private PostgreSQL is filled with 1,000 hosts, 20,000 instances and 200,000 migrations; the
API runs as in production (gunicorn, one process, callers with tokens), and is asked over HTTP.
Measured are lists and shows for pages of 100, the API's memory while one client reads
everything, the plans of all queries and the rows that they read, and 200 migrate requests at
once.  Ends with 1 when a goal is missed, and names it.
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
from benchmarks.goals import missed_by_api
from lmigrate.access import tokens
from lmigrate.config import settings
from lmigrate.states import Role
from tests.databases import PostgresqlDatabases
from tests.factories.fleet import Fleet, fill, instance_uuid
from tests.query_plans import LEFT_OUT, WHOLE, plan_of, queries_of, requests, rows_read
from tests.servers import postgresql_server, redis_server

HEADERS = {"OpenStack-API-Version": "compute 2.96"}
#: requests are counted against the limits, and there are fewer than that
MANY = "1000000/minute"
SERVING = {"LMIGRATE_AUTH__MODE": "token", "LMIGRATE_API__CALLER_RATE": MANY, "LMIGRATE_API__ADDRESS_RATE": MANY}
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
        "servers, sorted by host": "/v2.1/servers/detail?limit=100&sort_key=host",
        "server, show": server,
        "server, actions": f"{server}/os-instance-actions?limit=100",
        "server, action with events": f"/v2.1/servers/{instance_uuid(1)}/os-instance-actions/{latest}",
        "migrations, list": "/v2.1/os-migrations?limit=100",
        "migrations, in the middle": f"/v2.1/os-migrations?limit=100&marker={middle}",
        "migrations, of a host": "/v2.1/os-migrations?limit=100&host=node0005",
        "migrations, running": "/v2.1/os-migrations?limit=100&status=running",
        "migrations, list (/v1)": "/v1/migrations?limit=100",
        "migration, show (/v1)": f"/v1/migrations/{middle}",
        "server, show (/v1)": f"/v1/servers/{instance_uuid(77)}",
        "hypervisors, list": "/v2.1/os-hypervisors?limit=100",
        "hypervisors, detail": "/v2.1/os-hypervisors/detail?limit=100",
        "hypervisor, show": "/v2.1/os-hypervisors/40000000-0000-4000-8000-000000000005",
        "hosts, list (/v1)": "/v1/hosts?limit=100",
        "volumes, list (/v1)": "/v1/volumes?limit=100",
        "audit, list (/v1)": "/v1/audit?limit=100",
    }


@dataclass
class Api:
    """The API in a process of its own."""

    url: str
    headers: dict[str, str]
    process: subprocess.Popen[bytes]

    def client(self) -> httpx.Client:
        """A client of its own connection."""
        return httpx.Client(base_url=self.url, headers=self.headers, timeout=DEADLINE_S)

    def memory_mib(self) -> float:
        """Resident memory of the worker."""
        (worker,) = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        line = next(line for line in Path(f"/proc/{worker}/status").read_text().splitlines() if line.startswith("VmRSS:"))
        return int(line.split()[1]) / 1024


@contextlib.contextmanager
def running_api(environment: dict[str, str]) -> Iterator[Api]:
    """gunicorn on a free port of loopback, and a token for it."""
    _, secret = tokens.create("benchmark", Role.ADMIN, created_by="benchmark")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        bind = f"127.0.0.1:{probe.getsockname()[1]}"
    process = subprocess.Popen([sys.executable, "-m", "api.serve"], env=environment | SERVING | {"LMIGRATE_API__BIND": bind})
    try:
        _wait_until_ready(f"http://{bind}")
        yield Api(f"http://{bind}", HEADERS | {"X-Auth-Token": secret}, process)
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


def latencies(api: Api, fleet: Fleet, rounds: int) -> dict[str, dict[str, float]]:
    """Milliseconds for each request, one after the other; the kinds take turns, so that none has a quiet moment to itself."""
    kinds = measured(fleet)
    took: dict[str, list[float]] = {name: [] for name in kinds}
    with api.client() as client:
        for number in range(-2, rounds):  # two rounds warm every cache
            for name, path in kinds.items():
                began = time.perf_counter()
                client.get(path).raise_for_status()
                if number >= 0:
                    took[name].append((time.perf_counter() - began) * 1000)
    return {name: {"median": round(statistics.median(one), 1), "p95": round(_p95(one), 1)} for name, one in took.items()}


def _p95(values: list[float]) -> float:
    return statistics.quantiles(values, n=20)[-1]


def read_everything(api: Api) -> dict[str, Any]:
    """Follow the links through all servers and all migrations; the memory before, at most, and after."""
    found: dict[str, Any] = {"before_mib": round(api.memory_mib(), 1)}
    most = 0.0
    for key, path in {"servers": "/v2.1/servers/detail?limit=100", "migrations": "/v2.1/os-migrations?limit=100"}.items():
        found[key] = 0
        for rows in _pages(api, key, path):
            found[key] += rows
            most = max(most, api.memory_mib())
        found[f"after_{key}_mib"] = round(api.memory_mib(), 1)
    return found | {"most_mib": round(most, 1)}


def _pages(api: Api, key: str, path: str) -> Iterator[int]:
    """The rows of each page."""
    with api.client() as client:
        while path:
            answer = client.get(path).raise_for_status().json()
            yield len(answer[key])
            path = next((link["href"] for link in answer.get(f"{key}_links", [])), "")


def migrate_at_once(api: Api, fleet: Fleet) -> dict[str, Any]:
    """``AT_ONCE`` requests for as many idle servers, all sent at the same moment."""
    servers = [instance_uuid(number) for number in range(1, fleet.instances) if number % 10 and number > fleet.running][:AT_ONCE]
    start = threading.Barrier(AT_ONCE)

    def ask(server: str) -> tuple[float, float, int, str]:
        with api.client() as client:
            start.wait()
            began = time.monotonic()
            answer = client.post(f"/v2.1/servers/{server}/action", json={"os-migrateLive": {"host": None, "block_migration": "auto"}})
            return began, time.monotonic(), answer.status_code, answer.headers["x-openstack-request-id"]

    with ThreadPoolExecutor(AT_ONCE) as pool:
        answers = list(pool.map(ask, servers))
    return _judged(answers, api)


def _judged(answers: list[tuple[float, float, int, str]], api: Api) -> dict[str, Any]:
    """Whether each has its migration, and whether one that was answered before another was sent comes before it."""
    with api.client() as client:
        rows = client.get("/v2.1/os-migrations?limit=1000&status=accepted").raise_for_status().json()["migrations"]
        recorded = client.get("/v1/migrations?limit=1000&status=accepted").raise_for_status().json()["migrations"]
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


def plans(fleet: Fleet) -> dict[str, Any]:
    """How PostgreSQL, left to itself, goes about each request: which read a table that grows as a whole, and how many rows of one query."""
    client = create_app().test_client()
    asked = {path: queries_of(client, path) for path in requests(fleet)}
    read = {path: _most_rows(queries) for path, queries in asked.items()}
    return {
        "requests": len(asked),
        "scans": [path for path, queries in asked.items() if any(WHOLE.search(plan_of(*query)) for query in queries)],
        "most_rows_read": dict(sorted(read.items(), key=lambda one: -one[1])[:5]),
        "left_out": {path: {"why": why, "rows_read": _most_rows(queries_of(client, path))} for path, why in LEFT_OUT.items()},
    }


def _most_rows(queries: list[tuple[str, Any]]) -> int:
    return max(rows_read(*query) for query in queries)


def load_average() -> float:
    """Of the last minute."""
    return round(os.getloadavg()[0], 1)


def run(fleet: Fleet, rounds: int) -> dict[str, Any]:
    """Everything, in one database."""
    with postgresql_server() as directory, redis_server() as broker:
        os.environ |= {"LMIGRATE_DATABASE__URL": PostgresqlDatabases(directory).upgraded(), "LMIGRATE_BROKER__URL": broker}
        settings.cache_clear()
        load, began = [load_average()], time.monotonic()
        fill(fleet)
        print(f"filled in {time.monotonic() - began:.0f} s", file=sys.stderr)
        load.append(load_average())
        with running_api(dict(os.environ)) as api:
            found = {"latency_ms": latencies(api, fleet, rounds), "memory": read_everything(api)}
            load.append(load_average())
            found |= {"plans": plans(fleet), "migrate_at_once": migrate_at_once(api, fleet)}
        names = ("at_the_start", "filled", "asked")
        return {"fleet": vars(fleet), "rounds": rounds, "load_average_1min": dict(zip(names, load, strict=True)), **found}


def main() -> None:
    """Run, and print JSON; what is missed goes to standard error."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=100, help="how often each request is made (at least 20)")
    parser.add_argument("--tenth", action="store_true", help="a tenth of the fleet, to try it out")
    asked = parser.parse_args()
    fleet = Fleet(100, 2_000, 20_000, 50, 20_000) if asked.tenth else Fleet()
    found = run(fleet, asked.rounds)
    print(json.dumps(found, indent=1))
    missed = missed_by_api(found)
    for line in missed:
        print(f"MISSED: {line}", file=sys.stderr)
    sys.exit(1 if missed else 0)


if __name__ == "__main__":
    main()
