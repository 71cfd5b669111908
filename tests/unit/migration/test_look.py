"""One look at a guest: what is asked, and of whom."""

from __future__ import annotations

import pytest

from lmigrate.ids import new_uuid
from lmigrate.migration.look import look
from lmigrate.virt.fake import FakeHypervisor
from lmigrate.virt.fake_world import FakeWorld
from tests.conformance.pair import guest_xml


@pytest.mark.parametrize(("is_persistent", "is_paused", "is_told"), [(False, True, True), (True, True, False), (False, False, False)])
def test_qemu_is_asked_only_about_a_transient_guest_that_stands_still(*, is_persistent: bool, is_paused: bool, is_told: bool) -> None:
    world = FakeWorld("node5")
    uuid = world.boot("node5", guest_xml(new_uuid(), "kvm", None), is_persistent=is_persistent, is_paused=is_paused)
    world.domain("node5", uuid).has_sent_memory = True
    assert look(FakeHypervisor(world, "node5"), uuid, new_uuid()).has_sent_memory is is_told
