"""Every operation has a role, and the role is asked for."""

from __future__ import annotations

import pytest
from flask import Flask

from api import policy
from api.nova.server_actions import ACTIONS
from lmigrate.states import Role


def endpoints(app: Flask) -> set[str]:
    return {rule.endpoint for rule in app.url_map.iter_rules()}


def test_each_operation_has_a_rule_and_each_rule_an_operation(app: Flask) -> None:
    operations = endpoints(app) | {f"nova.{name}" for name in ACTIONS}
    assert operations == set(policy.POLICY)


def test_a_route_without_a_rule_is_not_served(app: Flask) -> None:
    policy.require_complete(endpoints(app))
    with pytest.raises(policy.NoPolicy, match=r"nova\.new") as refused:
        policy.require_complete({"nova.new", "v1.list_hosts"})
    assert "list_hosts" not in str(refused.value)


def test_whoever_reads_changes_nothing(app: Flask) -> None:
    """Whatever has a method that changes something needs more than a reader, logging in apart."""
    changing = {rule.endpoint for rule in app.url_map.iter_rules() if (rule.methods or set()) - {"GET", "HEAD", "OPTIONS"}}
    changing |= {f"nova.{name}" for name in ACTIONS}
    weak = {name for name in changing if policy.POLICY[name].role in {None, Role.READER}}
    assert weak == {"identity.create_session"}


def test_what_is_open_shows_nothing_of_what_is_managed() -> None:
    is_open = {name for name, rule in policy.POLICY.items() if rule.role is None}
    assert {name.partition(".")[0] for name in is_open} == {"health", "versions", "identity", "images"}


def test_roles_contain_each_other() -> None:
    assert [Role.OPERATOR.may(needed) for needed in Role] == [True, True, False]
    assert all(Role.ADMIN.may(needed) for needed in Role)
    assert [Role.READER.may(needed) for needed in Role] == [True, False, False]
