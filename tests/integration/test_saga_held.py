"""Every reason to hold a migration has a way to its end: the doctor's commands, followed to the letter."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from sqlalchemy import select

from lmigrate.config import settings
from lmigrate.db.clock import ago
from lmigrate.db.models import Host, Migration, MigrationStep
from lmigrate.db.session import writing
from lmigrate.doctor.finding import Finding, Kind
from lmigrate.errors import OutcomeUnknown
from lmigrate.migration import reconcile, rollback
from lmigrate.migration.resolve import resolve
from lmigrate.migration.runner import MAX_FORWARD_TRIES, run_step
from lmigrate.migration.steps.base import StepContext
from lmigrate.migration.steps.pre_live_migration import remove_incoming_domain
from lmigrate.states import HoldReason, MigrationStatus, Phase, PowerState, StepState
from lmigrate.virt.fake_domain import FakeDomain
from lmigrate.virt.fake_move import Move
from lmigrate.virt.xml.document import parse, set_mark, write
from tests.factories.records import sighting_row
from tests.integration.cluster import Cluster
from tests.integration.operator_shell import OperatorShell, diagnose

RUNNING, PAUSED, SHUTOFF = PowerState.RUNNING, PowerState.PAUSED, PowerState.SHUTOFF
PREPARED = [("select_destination", None), ("check_destination", "node6"), ("check_source", "node5"), ("pre_live_migration", "node6")]


@pytest.fixture
def cluster(database: str, tmp_path: Path) -> Cluster:
    return Cluster(tmp_path, "node5", "node6", is_shared=True, post_copy_recovery_timeout_s=0, post_copy_retry_max_s=0.02)


@dataclass(frozen=True)
class Here:
    """What one host has."""

    power_state: PowerState
    reason: str
    is_ours: bool = True
    is_persistent: bool = False
    has_sent_memory: bool = False


def held_with(cluster: Cluster, source: Here | None, destination: Here | None) -> int:
    """The move broke, and this is what it left."""
    uuid = cluster.boot("node5")
    migration_id = cluster.request(uuid, "node6")
    for name, host in PREPARED:
        run_step(name, migration_id, 1, cluster.settings(host), None, connect=cluster.connect(host))
    cluster.mail.waiting.clear()
    guest = cluster.world.domain("node5", uuid)
    xml = guest.xml
    if source is None:
        del cluster.world.hosts["node5"].domains[uuid]
    else:
        guest.active_xml = xml if source.power_state.is_active else None
        guest.inactive_xml = xml if source.is_persistent else None
        guest.set_state(source.power_state, source.reason)
        guest.has_sent_memory = source.has_sent_memory
    if destination is not None:
        cluster.world.hosts["node6"].domains[uuid] = _domain(uuid, xml, destination, cluster.migration(migration_id).uuid)
    with writing() as session:
        row = session.scalars(
            select(MigrationStep).where(MigrationStep.migration_id == migration_id, MigrationStep.name == "migrate")
        ).one()
        row.state, row.tries, row.facts = StepState.FAILED, 1, {"inodes": {}}
        migration = session.get_one(Migration, migration_id)
        migration.phase, migration.error = Phase.ROLLING_BACK, "the link broke"
    rollback.roll_back(migration_id, 1, cluster.mail)
    cluster.deliver()
    return migration_id


def _domain(uuid: str, xml: str, here: Here, mark: str) -> FakeDomain:
    root = parse(xml)
    if here.is_ours:
        set_mark(root, mark)
    active = write(root) if here.power_state.is_active else None
    return FakeDomain(uuid, active, write(root) if here.is_persistent else None, here.power_state, here.reason)


def forward_fails(cluster: Cluster, faults: Path) -> int:
    obstacle = faults / "step.post_at_source.before_do"
    obstacle.write_text("raise")
    migration_id = cluster.migrate(cluster.boot("node5"), "node6").id
    for _ in range(MAX_FORWARD_TRIES):
        cluster.later()
    obstacle.unlink()
    return migration_id


def source_still_active(cluster: Cluster, _faults: Path) -> int:
    uuid = cluster.boot("node5")

    migration_id = cluster.request(uuid, "node6")
    for name, host in [*PREPARED, ("migrate", "node5"), ("post_at_destination", "node6")]:
        run_step(name, migration_id, 1, cluster.settings(host), None, connect=cluster.connect(host))
    left = cluster.world.domain("node5", uuid)
    left.active_xml = left.inactive_xml
    left.set_state(PAUSED, "user")
    with writing() as session:
        session.add(sighting_row("node6", cluster.instance(uuid)))  # of node6's daemon, when the guest came
    for _ in range(6):
        cluster.later()
    return migration_id


def vanished(cluster: Cluster, faults: Path) -> int:
    uuid = cluster.boot("node5")
    (faults / "step.post_at_destination.after_do").write_text("raise once")
    migration_id = cluster.migrate(uuid, "node6").id
    with cluster.world.lock:
        cluster.world._expected.discard(uuid)
        del cluster.world.hosts["node6"].domains[uuid]
    for _ in range(6):
        cluster.later()
    return migration_id


def silent(cluster: Cluster, gone: str) -> int:
    """A host dies in the copy, for long."""
    uuid = cluster.boot("node5")

    def die(move: Move) -> None:
        cluster.world.hosts[gone].is_unreachable = True
        with writing() as session:
            session.scalars(select(Host).where(Host.name == gone)).one().libvirt_ok = False
        raise move.error("the link broke")

    cluster.world.at("copying", die)
    migration_id = cluster.migrate(uuid, "node6").id
    for _ in range(2):
        cluster.later()
        with writing() as session:
            session.get_one(Migration, migration_id).silent_since = ago(3600)
        cluster.later()
    return migration_id


BOOTED = Here(RUNNING, "booted", is_persistent=True)
STUCK = Here(PAUSED, "migration", is_persistent=True)
OWNER_PAUSED = Here(PAUSED, "user", is_persistent=True)
LEFT = Here(SHUTOFF, "migrated", is_persistent=True)
FORGOTTEN = Here(SHUTOFF, "unknown", is_persistent=True)
ENDED = Here(SHUTOFF, "shutdown", is_persistent=True)
INCOMING = Here(PAUSED, "migration")
Scene = Callable[[Cluster, Path], int]


def cell(source: Here | None, destination: Here | None) -> Scene:
    return lambda cluster, _faults: held_with(cluster, source, destination)


#: reason, what brings it about, and how many ways out there are that can be followed here
SCENES: list[tuple[HoldReason, Scene, int]] = [
    (HoldReason.RUNS_ON_BOTH, cell(BOOTED, Here(RUNNING, "migrated")), 2),
    (HoldReason.RUNS_ON_BOTH, cell(BOOTED, Here(RUNNING, "booted", is_ours=False, is_persistent=True)), 2),
    (HoldReason.COPY_HAS_RUN, cell(BOOTED, Here(PAUSED, "user")), 2),
    (HoldReason.COPY_HAS_RUN, cell(ENDED, Here(SHUTOFF, "shutdown", is_persistent=True)), 2),
    (HoldReason.STOPPED_ON_BOTH, cell(OWNER_PAUSED, Here(PAUSED, "user", is_persistent=True)), 2),
    (HoldReason.STOPPED_AT_SWITCHOVER, cell(STUCK, INCOMING), 2),
    (HoldReason.STOPPED_ON_BOTH, cell(STUCK, Here(SHUTOFF, "shutdown", is_persistent=True)), 2),
    (HoldReason.STOPPED_AT_SWITCHOVER, cell(Here(PAUSED, "migration"), None), 2),
    (HoldReason.STOPPED_AT_SWITCHOVER, cell(Here(PAUSED, "user", has_sent_memory=True), None), 2),  # we had paused it
    (HoldReason.NOT_HANDED_OVER, cell(FORGOTTEN, INCOMING), 2),
    (HoldReason.NOT_HANDED_OVER, cell(None, INCOMING), 2),
    (HoldReason.ON_NEITHER_HOST, cell(LEFT, None), 1),
    (HoldReason.ON_NEITHER_HOST, cell(None, None), 1),
    (HoldReason.ON_NEITHER_HOST, cell(FORGOTTEN, FORGOTTEN), 2),
    (HoldReason.FOREIGN_DOMAIN, cell(ENDED, Here(RUNNING, "booted", is_ours=False, is_persistent=True)), 2),
    (HoldReason.FOREIGN_DOMAIN, cell(STUCK, Here(PAUSED, "user", is_ours=False)), 2),
    (HoldReason.POST_COPY_BROKEN, cell(Here(PAUSED, "postcopy-failed", is_persistent=True), Here(RUNNING, "postcopy-failed")), 1),
    (HoldReason.SOURCE_SILENT, lambda cluster, _faults: silent(cluster, "node5"), 1),
    (HoldReason.DESTINATION_SILENT, lambda cluster, _faults: silent(cluster, "node6"), 1),
    (HoldReason.SOURCE_STILL_ACTIVE, source_still_active, 1),
    (HoldReason.VANISHED_AT_DESTINATION, vanished, 1),
    (HoldReason.FORWARD_FAILS, forward_fails, 1),
]
#: a way that says what happens by itself, or what must have happened outside of lmigrate, has nothing that this operator could do
ELSEWHERE = ("can be brought back", "runs on the destination again", "with this guest; the guest runs on")
CASES = [(reason, scene, count, way) for reason, scene, count in SCENES for way in range(count)]


def ways(finding: Finding) -> list[int]:
    return [number for number, way in enumerate(finding.advice.ways) if not any(text in way.when for text in ELSEWHERE)]


@pytest.fixture
def faults(database: str, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    directory = tmp_path_factory.mktemp("faults")
    monkeypatch.setenv("LMIGRATE_FAULTS__DIR", str(directory))
    settings.cache_clear()
    return directory


def test_what_was_held_for_a_person_is_not_taken_up_by_a_reconciler_that_listed_it_before(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was still rolling back then; what is held now, and why, is what the locked row says."""
    held = held_with(cluster, Here(PAUSED, "postcopy-failed", is_persistent=True), Here(RUNNING, "postcopy-failed"))
    for _ in range(3):
        cluster.later()
    assert cluster.migration(held).hold_reason is HoldReason.POST_COPY_BROKEN
    told = cluster.events(held)
    monkeypatch.setattr(reconcile, "_open_migrations", lambda: [held])
    cluster.later()
    assert (cluster.migration(held).phase, cluster.events(held)) == (Phase.HELD, told)


def test_every_reason_has_a_scene() -> None:
    assert {reason for reason, *_ in SCENES} == set(HoldReason)


@pytest.mark.parametrize(
    ("reason", "scene", "count", "way"), CASES, ids=[f"{number}: {case[0].value}" for number, case in enumerate(CASES)]
)
def test_each_way_leads_to_the_end(cluster: Cluster, faults: Path, reason: HoldReason, scene: Scene, count: int, way: int) -> None:
    migration_id = scene(cluster, faults)
    (finding,) = [one for one in diagnose(cluster) if one.kind is Kind.HELD_MIGRATION]
    assert (finding.reason, finding.migration_id, finding.needs_operator) == (reason.value, migration_id, True)
    assert finding.page == f"docs/runbooks/{reason.value}.md"
    practicable = ways(finding)
    assert len(practicable) == count
    shell = OperatorShell(cluster)
    for command in [*finding.advice.look, *finding.advice.ways[practicable[way]].commands]:
        shell.run(command)
    for _ in range(3):
        cluster.later()
    migration = cluster.migration(migration_id)
    assert migration.phase is Phase.ENDED, (shell.ran, cluster.events(migration_id)[-6:])
    assert migration.status in {MigrationStatus.COMPLETED, MigrationStatus.FAILED}
    instance = cluster.instance(migration.instance_uuid)
    assert instance.task_state is None
    assert instance.host == ("node6" if migration.status is MigrationStatus.COMPLETED else "node5")
    states = {host: cluster.world.domain(host, instance.uuid) for host in cluster.world.where(instance.uuid)}
    assert sum(domain.is_running for domain in states.values()) <= 1
    if migration.status is MigrationStatus.COMPLETED:
        assert states["node6"].is_running
    assert any("alice says that the guest runs on" in event and "known then: source" in event for event in cluster.events(migration_id))


def test_a_stopped_copy_that_has_run_is_not_given_up_for_the_sources(cluster: Cluster) -> None:
    """Both hosts lost their power after a switchover that nobody proved: whatever is said, the copy stays."""
    migration_id = held_with(cluster, FORGOTTEN, FORGOTTEN)
    resolve(migration_id, "node5", "alice", cluster.mail)
    for _ in range(2):
        cluster.later()
    migration = cluster.migration(migration_id)
    assert (migration.phase, migration.hold_reason) == (Phase.HELD, HoldReason.ON_NEITHER_HOST)
    assert set(cluster.world.where(migration.instance_uuid)) == {"node5", "node6"}


def test_the_undo_keeps_a_copy_that_has_run_and_ended(cluster: Cluster) -> None:
    """It ended between the look and the undo."""
    migration = cluster.migration(held_with(cluster, FORGOTTEN, FORGOTTEN))
    instance, here = cluster.instance(migration.instance_uuid), cluster.settings("node6")
    context = StepContext(migration, instance, here, {}, lambda _facts: None, lambda: False, lambda: None, cluster.connect("node6"))
    with pytest.raises(OutcomeUnknown, match="has a copy of the guest that has run"):
        remove_incoming_domain(context)
    assert "node6" in cluster.world.where(instance.uuid)
