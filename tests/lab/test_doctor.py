"""The doctor on real hosts: planted leaks are found and removed or told, and its commands, followed to the letter, end a held migration."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import libvirt
import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from lmigrate.config import DatabaseSettings
from lmigrate.db.clock import utcnow
from lmigrate.db.models import Migration
from lmigrate.db.session import make_engine
from lmigrate.ids import new_uuid
from lmigrate.lab.guests.guest import Guest
from lmigrate.lab.host import Host
from lmigrate.lab.topology import Lab
from lmigrate.migration.connections import secret_uuid
from lmigrate.storage import ownership, probe
from lmigrate.virt.types import Secret
from lmigrate.virt.xml.document import parse, set_mark, write
from lmigrate.virt.xml.volume import secret_xml
from tests.lab.conftest import StartGuest
from tests.lab.moves import assert_home, other
from tests.lab.wire import Json, Wire, eventually, story

pytestmark = [pytest.mark.lab, pytest.mark.one_database]


@pytest.fixture
def lab_kind() -> str:
    return "private"


@contextmanager
def connected(host: Host) -> Iterator[libvirt.virConnect]:
    connection = libvirt.open(f"qemu+unix:///system?socket={host.file('/run/libvirt/libvirt-sock')}")
    try:
        yield connection
    finally:
        connection.close()


def findings(wire: Wire, kind: str) -> list[Json]:
    return [finding for finding in wire.get("/v1/doctor")["findings"] if finding["kind"] == kind]


def plant(host: Host, guest: Guest, mark: str) -> dict[str, str]:
    """One of each kind, as a migration with that mark would have left it; the subjects by kind."""
    top = host.instances_dir
    ownership.claim_directory(top / guest.uuid, mark, host.name)
    ownership.claim_file(top / guest.uuid / "disk0", mark, host.name, Path.touch)
    probe.write_probes([top], mark)
    attachment = new_uuid()
    secret = Secret(secret_uuid(attachment), "iscsi", f"lmigrate-{attachment}", "x")
    described = f"<name>{guest.name}</name><uuid>{guest.uuid}</uuid><memory>16384</memory><os><type>hvm</type></os>"
    root = parse(f"<domain type='qemu'>{described}</domain>")
    set_mark(root, mark)
    with connected(host) as connection:
        connection.secretDefineXML(secret_xml(secret)).setValue(secret.payload)
        connection.defineXML(write(root))
    directory = f"{host.instances_path}/{guest.uuid}"
    return {"domain": guest.uuid, "directory": directory, "probe": f"{host.instances_path}/{probe.name_for(mark)}", "secret": secret.uuid}


def end_later(lab: Lab, mark: str) -> None:
    """Make what is planted now older than the end of that migration: nobody can set the time at which an inode changed."""
    engine = make_engine(DatabaseSettings(url=lab.database_url))
    try:
        with Session(engine) as session, session.begin():
            session.scalars(select(Migration).where(Migration.uuid == mark)).one().ended_at = utcnow() + timedelta(seconds=60)
    finally:
        engine.dispose()


@pytest.mark.both_databases
def test_planted_leaks_are_found_and_removed_unless_they_may_matter(lab: Lab, wire: Wire, guest: Guest) -> None:
    home = wire.server(guest.uuid)["host"]
    away = lab.host(other(home))
    (lab.faults_dir / "step.migrate.before_do").write_text("raise once")
    ended = wire.move(guest.uuid, away.name)
    assert ended["status"] == "failed", story(ended)
    end_later(lab, ended["uuid"])
    planted = plant(away, guest, ended["uuid"])
    stranger = away.instances_dir / probe.name_for(new_uuid())
    stranger.touch()
    # a daemon that starts looks at its own host
    away.kill("host")
    lab.start_daemon("host", away.name)

    wanted = {f"{kind} {subject}" for kind, subject in planted.items()} | {f"probe {away.instances_path}/{stranger.name}"}

    def told() -> dict[str, Json]:
        found = {" ".join(one["summary"].split()[:2]).removesuffix(":"): one for one in findings(wire, "leak")}
        return found if wanted <= set(found) else {}

    shown = eventually("every leak is told", told, deadline_s=60)
    removed = {name for name, finding in shown.items() if not finding["needs_operator"]}
    assert removed >= {f"{kind} {subject}" for kind, subject in planted.items() if kind != "domain"}
    assert not (away.instances_dir / guest.uuid).exists()
    # one that is defined may have run: no reason that libvirt gives disproves it
    defined = shown[f"domain {guest.uuid}"]
    assert defined["needs_operator"]
    with connected(away) as connection:
        assert guest.uuid in {domain.UUIDString() for domain in connection.listAllDomains()}
        assert planted["secret"] not in {secret.UUIDString() for secret in connection.listAllSecrets()}
    # what nobody can prove to be ours stays, with commands that remove it
    unknown = shown[f"probe {away.instances_path}/{stranger.name}"]
    assert stranger.exists()
    follow(lab, unknown["look"][:1], unknown["ways"][0]["commands"])
    assert not stranger.exists()
    follow(lab, defined["look"], defined["ways"][0]["commands"])
    with connected(away) as connection:
        assert guest.uuid not in {domain.UUIDString() for domain in connection.listAllDomains()}
    assert wire.http.post("/v1/doctor/sweep", json={}).json()["hosts"]
    eventually("it is forgotten", lambda: not [finding for finding in findings(wire, "leak") if finding["needs_operator"]], deadline_s=60)
    assert_home(lab, wire, guest, home)


@pytest.mark.both_databases
def test_the_commands_end_a_held_migration(lab: Lab, wire: Wire, start: StartGuest) -> None:
    guest = start("node5")
    obstacle = lab.faults_dir / "step.post_at_source.before_do"
    obstacle.write_text("raise")
    migration_id = wire.begin(guest.uuid, "node6")
    wire.until(migration_id, lambda found: found["switched_over_at"] is not None)
    # somebody starts the definition that was left on the source for safety
    lab.host("node5").virsh("start", "--paused", guest.uuid)
    obstacle.unlink()
    wire.status(migration_id, "error", deadline_s=120)
    done = lmigrate(lab, "doctor", "-o", "json")
    assert done.returncode == 9, done
    (held,) = [finding for finding in json.loads(done.stdout)["findings"] if finding["kind"] == "held-migration"]
    assert (held["reason"], held["migration_id"]) == ("source-still-active", migration_id)
    assert {known["host"] for known in held["known"]} == {"node5", "node6"}
    follow(lab, held["look"], held["ways"][0]["commands"])
    ended = wire.until(migration_id, lambda found: found["status"] == "completed")
    assert any("says that the guest runs on node6" in str(event["details"]) for event in ended["events"]), story(ended)
    assert_home(lab, wire, guest, "node6")
    assert findings(wire, "held-migration") == []  # other tests of this lab may have left guests that have vanished


def follow(lab: Lab, *parts: list[dict[str, Any]]) -> None:
    """Run commands as they stand, each where it belongs."""
    for one in [command for part in parts for command in part]:
        if one["host"] is None:
            words = one["command"].split()
            assert words[0] == "lmigrate"
            done = lmigrate(lab, *words[1:])
        else:
            done = lab.host(one["host"]).run(["bash", "-c", one["command"]])
        assert done.returncode == 0, (one, done)


def lmigrate(lab: Lab, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "lmigrate.cli.main", "--url", lab.url, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
