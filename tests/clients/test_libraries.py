"""openstacksdk and python-novaclient, unmodified, over real HTTP."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.clients.client_process import Site, run
from tests.clients.environments import NEWEST

PROGRAMS = Path(__file__).with_name("programs")
EXAMPLES = Path(__file__).parents[2] / "docs" / "examples"
REMAINING_BYTES = 256 * 2**20


def test_openstacksdk(api: Site) -> None:
    found = run(NEWEST, api, "python", PROGRAMS / "sdk_reads.py", "web1").json
    assert found == {
        "servers": ["db1", "old", "web1"],
        "by name": ["db1", "old", "web1"],
        "guest": ["node5", "MIGRATING", "migrating", 75],
        "in progress": [[2, "running", REMAINING_BYTES]],
        "one in progress": "node6",
        "migrations": [[2, "running", "live-migration"], [1, "failed", "live-migration"]],
        "of the guest": [2],
        "actions": ["live-migration"],
        "hosts": [["node5", "up"], ["node6", "up"]],
        "services": [["node5", "enabled"], ["node6", "disabled"]],
    }


@pytest.mark.parametrize(("arguments", "said"), [(["db1", "node9"], "node9"), (["nowhere"], "nowhere")])
def test_the_example_for_openstacksdk_says_what_was_refused(api: Site, arguments: list[str], said: str) -> None:
    done = run(NEWEST, api, "python", EXAMPLES / "sdk_migrate.py", *arguments)
    assert (done.code, done.err.startswith("not migrated: "), said in done.err, "Traceback" in done.err) == (1, True, True, False), done


def test_novaclient(api: Site) -> None:
    answer = run(NEWEST, api, "python", PROGRAMS / "novaclient_reads.py", "web1", OS_AUTH_TYPE="none", OS_ENDPOINT=f"{api.url}/v2.1/")
    assert answer.json == {
        "guest": ["node5", "MIGRATING"],
        "in progress": [2, "running", REMAINING_BYTES],
        "migrations": [[2, "running"], [1, "failed"]],
        "actions": ["live-migration"],
        "hosts": [["node5", "up"], ["node6", "up"]],
        "services": [["node5", "enabled"], ["node6", "disabled"]],
    }
    assert answer.err == ""


def test_both_force_and_abort(api: Site) -> None:
    """Asked for twice, it is once."""
    asked = ["web1", "sdk-force", "nova-force", "sdk-abort", "nova-abort"]
    answer = run(NEWEST, api, "python", PROGRAMS / "libraries_end.py", *asked, OS_AUTH_TYPE="none", OS_ENDPOINT=f"{api.url}/v2.1/")
    assert answer.json == ["live-migration", "live_migration_cancel", "live_migration_force_complete"]
