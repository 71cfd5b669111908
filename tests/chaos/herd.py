"""Guests that one trial after the other is made with."""

from __future__ import annotations

from collections.abc import Sequence

from tests.chaos.scene import Scene
from tests.chaos.subject import Subject
from tests.chaos.trial import start_subjects
from tests.chaos.verdict import Row

#: those that copy are large, and one writes to its disks all the while
_KINDS = {"middle": "writer", "switchover": "large", "start": "large"}


class Herd:
    """A guest for each stage, made anew when one was lost."""

    def __init__(self, scene: Scene) -> None:
        self._scene = scene
        self._guests: dict[str, Subject] = {}

    def ready(self, stages: Sequence[str]) -> list[tuple[Subject, str]]:
        """One for each stage."""
        self._guests |= start_subjects(self._scene, {stage: _KINDS.get(stage, "small") for stage in stages if stage not in self._guests})
        return [(self._guests[stage], stage) for stage in stages]

    def drop_unfit(self, rows: Sequence[Row]) -> None:
        """Guests that something happened to are not tried again."""
        for row in rows:
            if not row.is_good:
                self._guests.pop(row.stage).guest.stop()
