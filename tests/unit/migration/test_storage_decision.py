"""Nova's decision table, with its messages."""

from __future__ import annotations

import pytest

from lmigrate.errors import Fault, InvalidLocalStorage, InvalidSharedStorage, LmigrateError
from lmigrate.migration.storage_decision import decide_block_migration

LOCAL = "node5 is not on local storage: Block migration can not be used with shared storage."
SHARED = (
    "node5 is not on shared storage: Shared storage live-migration requires either shared storage or boot-from-volume with no local disks."
)


@pytest.mark.parametrize(
    ("requested", "is_shared", "copies"),
    [(None, True, False), (None, False, True), (True, False, True), (False, True, False)],
)
def test_allowed(requested: bool | None, is_shared: bool, copies: bool) -> None:
    assert decide_block_migration(requested, is_on_shared_storage=is_shared, source_host="node5") is copies


@pytest.mark.parametrize(
    ("requested", "is_shared", "error", "message"),
    [(True, True, InvalidLocalStorage, LOCAL), (False, False, InvalidSharedStorage, SHARED)],
)
def test_refused(requested: bool, is_shared: bool, error: type[LmigrateError], message: str) -> None:
    with pytest.raises(error) as raised:
        decide_block_migration(requested, is_on_shared_storage=is_shared, source_host="node5")
    assert str(raised.value) == message
    assert raised.value.fault is Fault.REQUEST  # another host cannot help
