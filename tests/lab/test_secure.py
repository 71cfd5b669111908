"""`lab up --tls`: everything speaks TLS, the API asks for a token, and Redis lets each daemon do its own work only."""

from __future__ import annotations

import re
import secrets
import ssl
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import psycopg
import pytest
import redis

from api.microversions import MAXIMUM
from lmigrate.clock import monotonic_s
from lmigrate.lab import secure
from lmigrate.lab.errors import TokenRefused
from lmigrate.lab.guests.spec import GuestSpec
from lmigrate.lab.guests.start import start_guest
from lmigrate.lab.options import LabOptions
from lmigrate.lab.redis import PORT
from lmigrate.lab.registration import wait_for_hosts
from lmigrate.lab.topology import Lab
from tests.clients.client_process import Site, run, site
from tests.clients.environments import NEWEST
from tests.lab.labs import SETTINGS, TICKS_HZ
from tests.lab.moves import assert_moved
from tests.lab.wire import Wire

pytestmark = [pytest.mark.lab, pytest.mark.one_database]

LINK = re.compile(r'"(https?://[^"]*)"')
_LIMITS = {"LMIGRATE_API__FAILURE_RATE": ""}  # the tests show it wrong ones on purpose


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    options = LabOptions(lab_id=f"s-{secrets.token_hex(3)}", database="postgresql", secure=True, env=SETTINGS | _LIMITS)
    with Lab.throwaway(options) as up:
        yield up


@pytest.fixture
def wire(lab: Lab) -> Iterator[Wire]:
    made = Wire(lab)
    yield made
    made.http.close()


def in_redis(lab: Lab, user: str) -> redis.Redis:
    return redis.Redis(unix_socket_path=str(lab.paths.redis_socket), username=user, password=secure.broker_password(lab.state, user))


@pytest.fixture
def at(lab: Lab, tmp_path: Path) -> Site:
    """The lab, as the documentation's clouds.yaml tells OpenStack's clients; they get in by password, and trust the lab's authority."""
    return site(lab.url, tmp_path, "lmigrate-own-ca", lab.paths.token.read_text(), user="lab", ca_file=secure.ca_file(lab.paths))


def test_openstack_moves_a_guest_there_and_back_and_no_daemon_wanted_more_than_it_may(lab: Lab, wire: Wire, at: Site) -> None:
    by_password: list[str] = []
    by_token = ["--os-cloud", "lmigrate", "--os-cacert", str(secure.ca_file(lab.paths))]
    with start_guest(lab, "node5", GuestSpec(name="secure1", memory_mib=32, rate_hz=TICKS_HZ)) as guest:
        wire.wait_found(guest.uuid, "node5")
        for destination, options in (("node6", by_password), ("node5", by_token)):
            began = monotonic_s()
            move = f"server migrate --live-migration --host {destination} {guest.name}"
            done = run(NEWEST, at, "openstack", *options, *move.split())
            assert done.code == 0, done
            newest = wire.get("/v1/migrations", server=guest.uuid)["migrations"][0]
            assert_moved(lab, wire, guest, wire.end(newest["id"]), since=began)
        assert_links_lead_back(lab, wire)
        assert guest.name in lmigrate(lab, "server", "list", "--host", "node5")
    with in_redis(lab, secure.ALL) as client:
        users = {link["user"] for link in client.client_list()}
        refused = {(entry["username"], entry["object"]) for entry in client.acl_log() if entry["username"] in users}
    assert {one for one in refused if one[1] != "client|setinfo"} == set()  # redis-py goes on without that
    assert {"centre", "host.node5", "host.node6", "storage.san1"} <= users


def assert_links_lead_back(lab: Lab, wire: Wire) -> None:
    """Every address in an answer is one at which this client reaches the API: over HTTPS, under the same name."""
    for path in ("/", "/v2.1", "/v2.1/servers/detail?limit=1", "/v2.1/os-migrations?limit=1", "/identity"):
        links = LINK.findall(wire.http.get(path, headers={"OpenStack-API-Version": f"compute {MAXIMUM}"}).text)
        assert links, path
        assert [link for link in links if not link.startswith(f"{lab.url}/")] == [], path


def test_a_client_that_does_not_know_the_authority_gets_nowhere(lab: Lab, at: Site) -> None:
    unaware = run(NEWEST, at, "openstack", "--os-cloud", "lmigrate", "server", "list")
    assert (unaware.code, "Unable to find a version discovery document" in unaware.err) == (1, True), unaware
    told = run(NEWEST, at, "openstack", "--os-cloud", "lmigrate", "server", "list", OS_CACERT=str(secure.ca_file(lab.paths)))
    assert told.code == 0, told


def test_a_hosts_user_in_redis_reads_no_other_hosts_queue_and_empties_nothing(lab: Lab) -> None:
    with in_redis(lab, "host.node5") as client:
        assert client.llen("lm:host.node5") >= 0
        for command in (
            ("LRANGE", "lm:host.node6", "0", "-1"),
            ("RPOP", "lm:host.node6"),
            ("HGETALL", "lm:unacked.node6"),
            ("FLUSHALL",),
            ("KEYS", "*"),
        ):
            with pytest.raises(redis.exceptions.NoPermissionError):
                client.execute_command(*command)
    with in_redis(lab, secure.ALL) as client:
        client.acl_log_reset()  # so that the other test sees the daemons only, whichever comes first


def test_the_api_speaks_https_and_asks_for_a_token(lab: Lab) -> None:
    trusting = ssl.create_default_context(cafile=secure.ca_file(lab.paths))
    assert lab.url.startswith("https://")
    assert httpx.get(f"{lab.url}/v1/hosts", verify=trusting).status_code == 401
    assert httpx.get(f"{lab.url}/v1/hosts", verify=trusting, headers=secure.headers(lab)).status_code == 200
    with pytest.raises(httpx.ConnectError, match=r"(?i)certificate"):
        httpx.get(f"{lab.url}/v1/hosts")
    with pytest.raises(httpx.TransportError):
        httpx.get(lab.url.replace("https", "http") + "/v1/hosts")


def lmigrate(lab: Lab, *arguments: str) -> str:
    """What the command line prints, as whom `lmigrate lab env` makes it."""
    return lab.front.run([sys.executable, "-m", "lmigrate.cli.main", *arguments], env=lab.env(), check=True).stdout


def test_a_lab_whose_token_was_revoked_says_so_and_does_not_wait(lab: Lab) -> None:
    good = lab.paths.token.read_text()
    lab.paths.token.write_text("lmt_revoked")
    try:
        with pytest.raises(TokenRefused, match="makes a new one"):
            wait_for_hosts(lab, {})
    finally:
        lab.paths.token.write_text(good)
    wait_for_hosts(lab, {})


def test_the_command_line_finds_its_way(lab: Lab) -> None:
    assert lmigrate(lab, "token", "whoami").split()[:4] == ["User", "lab", "Role", "admin"]


def test_redis_takes_nobody_without_a_certificate(lab: Lab) -> None:
    """From a host, over the network: in the clear, and over TLS without a certificate of its own."""
    address = lab.state.addresses["ctl"]
    bare = lab.host("node5").run(["redis-cli", "-h", address, "-p", str(PORT), "ping"])
    assert "PONG" not in bare.stdout
    anonymous = ["redis-cli", "-h", address, "-p", str(PORT), "--tls", "--cacert", str(secure.ca_file(lab.paths)), "ping"]
    assert "PONG" not in lab.host("node5").run(anonymous).stdout


def test_postgresql_is_spoken_to_over_tls_only(lab: Lab) -> None:
    with psycopg.connect(lab.database_url.replace("+psycopg", "")) as connection:
        query = "SELECT DISTINCT ssl FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) WHERE client_addr IS NOT NULL"
        assert connection.execute(query).fetchall() == [(True,)]
    url = f"postgresql://lmigrate:{lab.state.database_password}@{lab.state.addresses['ctl']}/lmigrate?sslmode=disable"
    refused: subprocess.CompletedProcess[str] = lab.host("node5").run(["psql", url, "-c", "SELECT 1"])
    assert refused.returncode != 0
    assert "no encryption" in refused.stderr
