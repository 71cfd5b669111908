"""Writes docs/reference/operations.md from the policy: ``python -m api.policy_page``; ``--check`` says whether it is stale."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

from flask import Flask

from api.app import create_app
from api.nova.server_actions import ACTIONS
from api.policy import POLICY, Rule

PAGE = Path(__file__).parent.parent / "docs" / "reference" / "operations.md"

HEAD = """<!-- Written by `python -m api.policy_page` from `api/policy.py`. Do not edit. -->
# Operations and roles

Each request is one operation, and each operation needs a role. `reader` looks; `operator` also moves guests, aborts, enables and
disables hosts; `admin` also says where a held guest runs, registers volumes, makes and revokes tokens and reads the audit. A role may
do what the one before it may. `everybody` needs no token. The last column names the fields of the request that the
[audit](../operator-guide.md#the-audit) keeps; it keeps no others.

| operation | request | role | kept in the audit |
| --- | --- | --- | --- |
"""


def page() -> str:
    """The whole page."""
    return HEAD + "".join(sorted(_rows(create_app("127.0.0.1:8774"))))


def _rows(app: Flask) -> Iterator[str]:
    for rule in app.url_map.iter_rules():
        methods = sorted((rule.methods or set()) - {"HEAD", "OPTIONS"})
        path = rule.rule.replace("<", "{").replace(">", "}")
        yield _row(rule.endpoint, f"{', '.join(methods)} {path}", POLICY[rule.endpoint])
    for name in ACTIONS:
        yield _row(f"nova.{name}", f'`{{"{name}": …}}` in POST /v2.1/servers/{{server_id}}/action', POLICY[f"nova.{name}"])


def _row(operation: str, request: str, rule: Rule) -> str:
    role = "everybody" if rule.role is None else rule.role.value
    return f"| `{operation}` | {request} | {role} | {', '.join(f'`{name}`' for name in rule.told)} |\n"


def main() -> None:
    """Write the page, or with ``--check`` exit 1 when it is stale."""
    wanted = page()
    if "--check" not in sys.argv[1:]:
        PAGE.write_text(wanted)
    elif not PAGE.exists() or PAGE.read_text() != wanted:
        raise SystemExit("docs/reference/operations.md is stale: run `python -m api.policy_page`")


if __name__ == "__main__":
    main()
