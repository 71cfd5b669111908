"""Everything at once, by a seed: lost, doubled and overtaken messages, dying workers, a failing libvirt, hosts that hang, aborts.

Whatever happens, the guest never runs twice and is never lost; once the chaos is over, the migration ends by itself,
and either all is at the destination or all is as it was.
"""

from __future__ import annotations

import random
from collections import deque
from contextlib import suppress
from pathlib import Path

import pytest

from lmigrate.db.stores.journal import Claimant
from lmigrate.errors import AbortTooLate
from lmigrate.ids import new_uuid
from lmigrate.migration import runner, undo
from lmigrate.migration.abort import request_abort
from lmigrate.migration.dispatch import StepMessage, UndoMessage
from lmigrate.migration.steps import BY_NAME
from lmigrate.states import MigrationStatus, Phase
from lmigrate.virt.fake_move import Move
from tests.integration.cluster import Cluster
from tests.integration.mail import Message, WorkerDied

SEEDS = range(16)
ROUNDS_OF_CHAOS = 12
ROUNDS_OF_CALM = 12


class Chaos:
    """Bad luck of every kind, until ``end``."""

    def __init__(self, cluster: Cluster, uuid: str, seed: int) -> None:
        self.cluster, self.uuid, self.luck = cluster, uuid, random.Random(seed)
        self.migration_id: int | None = None
        cluster.mail.copies = self._copies
        cluster.world.at("copying", self._perhaps_fail)
        cluster.world.at("switchover", self._perhaps_fail)
        cluster.world.at("finished", self._perhaps_raise_late)

    def end(self) -> None:
        self.cluster.mail.copies = lambda _message: 1
        self.cluster.world.reset_hooks()
        self._hang(0)

    def step(self) -> None:
        """Between two looks of the reconciler."""
        self._hang(0.2)
        if self.luck.random() < 0.05 and self.migration_id is not None:
            with suppress(AbortTooLate):
                request_abort(self.uuid, self.migration_id)

    def work(self, message: Message) -> str:
        """A worker that perhaps dies: after its claim, or after its last effect."""
        if self.luck.random() < 0.1:
            self._die(message)
        return self.cluster.work(message)

    def _hang(self, probability: float) -> None:
        for host in self.cluster.world.hosts.values():
            host.is_hung = self.luck.random() < probability

    def _copies(self, _message: Message) -> int:
        waiting = list(self.cluster.mail.waiting)
        self.luck.shuffle(waiting)
        self.cluster.mail.waiting = deque(waiting)
        return self.luck.choices([0, 1, 2], [1, 10, 2])[0]

    def _perhaps_fail(self, move: Move) -> None:
        if self.luck.random() < 0.1:
            move.leaves_destination = self.luck.random() < 0.5
            raise move.error("operation failed: injected")

    def _perhaps_raise_late(self, move: Move) -> None:
        if self.luck.random() < 0.3:
            raise move.error("Cannot recv data: Connection reset by peer")

    def _die(self, message: Message) -> None:
        dead = Claimant(f"dead/{new_uuid()}", None, -1)
        does_it = self.luck.random() < 0.5
        if isinstance(message, StepMessage):
            settings = self.cluster.settings(message.address.place)
            claimed = runner._claim(message.step, message.migration_id, message.attempt, settings, dead)
            if claimed is not None and does_it:
                with suppress(Exception):
                    BY_NAME[message.step].do(runner.make_context(claimed[0], settings, self.cluster.connect(message.address.place)))
        elif isinstance(message, UndoMessage):
            settings = self.cluster.settings(message.address.place)
            row = undo._claim(message.step, message.migration_id, message.attempt, dead)
            if row is not None and does_it:
                with suppress(Exception):
                    context = runner.make_context(row, settings, self.cluster.connect(message.address.place))
                    BY_NAME[message.step].undo(context, row.facts)
        raise WorkerDied


@pytest.mark.parametrize("seed", SEEDS)
def test_chaos(database: str, tmp_path: Path, seed: int) -> None:
    cluster = Cluster(tmp_path, "node5", "node6", is_shared=seed % 3 == 0)
    uuid = cluster.boot("node5", disks=1 + seed % 2, is_persistent=seed % 5 != 0)
    before = cluster.snapshot()
    chaos = Chaos(cluster, uuid, seed)
    chaos.migration_id = migration_id = cluster.request(uuid, "node6")
    cluster.mail.deliver_all(chaos.work)
    for _ in range(ROUNDS_OF_CHAOS):
        chaos.step()
        cluster.later(work=chaos.work)
        cluster.check()
    chaos.end()
    for _ in range(ROUNDS_OF_CALM):
        cluster.later()
    cluster.check()
    migration = cluster.migration(migration_id)
    if migration.status is MigrationStatus.COMPLETED:
        cluster.check_moved(migration, "node5", "node6")
        return
    assert migration.phase is Phase.ENDED, (migration.status, migration.error, cluster.mail.said[-8:])
    assert cluster.snapshot() == before
    cluster.check_moved(cluster.migrate(uuid, "node6"), "node5", "node6")
