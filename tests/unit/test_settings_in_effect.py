"""What settings do that nothing else in the tests would miss: each is given a value that nobody gives it by default."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator

import pytest

from api.app import create_app
from api.serve import NoCertificate, tls_files
from lmigrate.cli import daemon_cmd
from lmigrate.config import (
    ApiSettings,
    ConductorSettings,
    DatabaseSettings,
    HostSettings,
    LogSettings,
    Settings,
    TlsSettings,
    settings,
)
from lmigrate.db.models import Host
from lmigrate.db.session import make_engine, reading, writing
from lmigrate.host.connector import find_connector
from lmigrate.host.daemon import worker_argv
from lmigrate.scheduler.snapshot import host_states
from lmigrate.virt.connect import local_hypervisor
from tests.factories.records import host_row

pytestmark = pytest.mark.one_database
Set = Callable[..., None]

#: in a process of its own: the application is made when it is imported
CELERY = """
import json
from tasks.app import app
beat = {name: entry["schedule"] for name, entry in app.conf.beat_schedule.items()}
print(json.dumps({"prefix": app.conf.broker_transport_options["global_keyprefix"], "beat": beat}))
"""
#: in a process of its own: it takes over every log of it
LOG = """
import logging, structlog
from lmigrate import log
from lmigrate.config import settings
log.configure(settings().log)
logging.getLogger("library").info("hidden")
logging.getLogger("library").warning("told")
structlog.get_logger().warning("ours", host="node5")
"""


@pytest.fixture
def put(monkeypatch: pytest.MonkeyPatch) -> Iterator[Set]:
    """``put(api__max_body_bytes="1024")`` for this process."""

    def put(**variables: str) -> None:
        for name, value in variables.items():
            monkeypatch.setenv(f"LMIGRATE_{name.upper()}", value)
        settings.cache_clear()

    yield put
    settings.cache_clear()


def run(script: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """``script`` with ``variables`` in its environment."""
    named = {f"LMIGRATE_{name.upper()}": value for name, value in variables.items()}
    return subprocess.run([sys.executable, "-c", script], env=os.environ | named, capture_output=True, text=True, check=True)


def test_connections_that_a_process_keeps() -> None:
    made = make_engine(DatabaseSettings(url="postgresql+psycopg://nobody@192.0.2.1/none", pool_size=7))
    assert made.pool.size() == 7  # type: ignore[attr-defined]


def test_celerys_keys_and_clock() -> None:
    shared = '{"san1": {"driver": "shared-directory", "directory": "/srv/san1"}}'
    intervals = {"conductor__reconcile_interval_s": "7", "conductor__sweep_interval_s": "70", "storage__sweep_interval_s": "17"}
    done = run(CELERY, broker__key_prefix="other:", storage__backends=shared, **intervals)
    found = json.loads(done.stdout)
    assert found["prefix"] == "other:"
    assert {name: found["beat"][name] for name in ("reconcile", "sweep", "sweep_storage.san1")} == {
        "reconcile": 7,
        "sweep": 70,
        "sweep_storage.san1": 17,
    }


def test_how_much_workers_do_side_by_side() -> None:
    host = Settings(host=HostSettings(name="node5", concurrent_steps=3, concurrent_migrations=5), log=LogSettings(level="warning"))
    short, moves = (" ".join(worker_argv(host, kind)) for kind in ("ctl", "mig"))
    assert "--concurrency 3 --queues host.node5 " in short
    assert "--concurrency 5 --queues host.node5.migrate " in moves
    assert short.endswith("--loglevel warning")
    assert "-c 4 -Q conductor" in " ".join(daemon_cmd.conductor_argv(Settings(conductor=ConductorSettings(concurrency=4))))


def test_which_libvirt_is_spoken_to(put: Set) -> None:
    put(host__libvirt_uri="test:///default")
    local_hypervisor.cache_clear()
    try:
        assert [domain.name for domain in local_hypervisor().domains()] == ["test"]
    finally:
        local_hypervisor.cache_clear()


def test_what_a_host_logs_in_with() -> None:
    named = HostSettings(name="node5", migration_address="10.0.0.5", initiator_iqn="iqn.2026-11.org.example:five")
    found = find_connector(named)
    assert (found.initiator, found.address) == ("iqn.2026-11.org.example:five", "10.0.0.5")
    assert HostSettings(name="node5").initiator == "iqn.2026-11.org.lmigrate.host:node5"


@pytest.mark.parametrize(("ratio", "free_mib"), [("1.0", 4096 - 512), ("1.5", 6144 - 512)])
def test_memory_that_may_be_promised(database: str, put: Set, ratio: str, free_mib: int) -> None:
    put(scheduler__ram_allocation_ratio=ratio)
    with writing() as session:
        session.add(host_row("node6", memory_mib=4096, reserved_memory_mib=512))
    with reading() as session:
        (state,) = host_states(session, session.query(Host).all())
    assert state.available_memory_mib == free_mib


def test_the_largest_body(database: str, put: Set) -> None:
    put(api__max_body_bytes="2048")
    client = create_app().test_client()
    sizes = {size: client.patch("/v1/hosts/node5", data=b" " * size, content_type="application/json").status_code for size in (2048, 2049)}
    assert sizes == {2048: 400, 2049: 413}


def test_https_or_not() -> None:
    pair = TlsSettings(cert_file="/cert.pem", key_file="/key.pem")
    files = {"certfile": "/cert.pem", "keyfile": "/key.pem"}
    assert [tls_files(Settings(tls=pair, api=ApiSettings(tls=wanted))) for wanted in (None, True, False)] == [files, files, {}]
    assert tls_files(Settings()) == {}
    with pytest.raises(NoCertificate):
        tls_files(Settings(api=ApiSettings(tls=True)))


def test_log_lines() -> None:
    lines = [json.loads(line) for line in run(LOG, log__format="json", log__level="warning").stderr.splitlines()]
    assert [(line["event"], line.get("host")) for line in lines] == [("told", None), ("ours", "node5")]
    assert "hidden" in run(LOG, log__format="console", log__level="info").stderr
